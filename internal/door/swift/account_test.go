package swift

import "testing"

// TestAccountLists wants what a list gives to hold for every door's one decision, and secrets to stay with those who administer.
func TestAccountLists(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	w.do("PUT", "c/o", "body").want(201)
	w.do("POST", "", "", "X-Account-Meta-Temp-Url-Key", "secret", "X-Account-Meta-Colour", "red").want(204)
	for _, bad := range []string{"x", `{"owner":[]}`, `{"admin":"other"}`, `{"admin":[1]}`} {
		w.do("POST", "", "", "X-Account-Access-Control", bad).want(400)
	}
	w.as("other", "HEAD", "", "").want(403)
	for _, c := range []struct {
		list                   string
		read, write, configure int
	}{
		{`{"read-only":["other:admin"]}`, 200, 403, 403},
		{`{"read-write":["other"]}`, 200, 201, 403},
		{`{"admin":["other:admin"]}`, 200, 201, 204},
	} {
		w.do("POST", "", "", "X-Account-Access-Control", c.list).want(204)
		w.as("other", "GET", "c/o", "").want(c.read)
		w.as("other", "PUT", "c/by-other", "body").want(c.write)
		w.as("other", "POST", "", "", "X-Account-Meta-By", "other").want(c.configure)
		head := w.as("other", "HEAD", "", "").want(204).has("X-Account-Meta-Colour", "red")
		if c.configure == 204 {
			head.has("X-Account-Access-Control", c.list, "X-Account-Meta-Temp-Url-Key", "secret")
		} else {
			head.has("X-Account-Access-Control", "", "X-Account-Meta-Temp-Url-Key", "")
		}
		w.as("joe", "GET", "c/o", "").want(403)
		// Who may write may not give itself or others more.
		w.do("POST", "c", "", "X-Container-Read", "keep", "X-Container-Meta-Temp-Url-Key", "kept").want(204)
		for _, name := range []string{"X-Container-Read", "X-Container-Write", "X-Container-Meta-Temp-Url-Key"} {
			w.as("other", "POST", "c", "", name, "test:joe")
			w.as("other", "POST", "c", "", "X-Remove"+name[1:], "x")
		}
		kept := w.do("HEAD", "c", "").want(204)
		if c.configure == 204 {
			kept.has("X-Container-Read", "", "X-Container-Meta-Temp-Url-Key", "")
		} else {
			kept.has("X-Container-Read", "keep", "X-Container-Write", "", "X-Container-Meta-Temp-Url-Key", "kept")
		}
	}
	w.do("POST", "", "", "X-Account-Access-Control", "{}").want(204)
	w.do("HEAD", "", "").want(204).has("X-Account-Access-Control", "", "X-Account-Meta-By", "other")
	w.as("other", "GET", "c/o", "").want(403)
}

// TestAccountQuotas wants only operators to set them, and zero to let nothing in.
func TestAccountQuotas(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "c", "").want(201)
	for _, header := range []string{
		"X-Account-Quota-Bytes", "X-Account-Meta-Quota-Bytes", "X-Account-Quota-Count", "X-Account-Quota-Bytes-Policy-Default", "X-Account-Quota-Count-Policy-default",
	} {
		w.do("POST", "", "", header, "5").want(403)
		w.do("POST", "", "", "X-Remove"+header[1:], "x").want(403)
		w.as("root", "POST", "", "", header, "many").want(400)
		w.as("root", "POST", "", "", header, "3").want(204)
		w.do("HEAD", "", "").want(204).has(header, "3")
		w.as("root", "POST", "", "", header, "0").want(204)
		w.do("HEAD", "", "").want(204).has(header, "0")
		w.do("PUT", "c/o", "x").want(413).is("Upload exceeds quota.")
		w.as("root", "POST", "", "", "X-Remove"+header[1:], "x").want(204)
		w.do("HEAD", "", "").want(204).has(header, "")
		w.do("PUT", "c/o", "body").want(201)
		w.do("DELETE", "c/o", "").want(204)
	}
	w.as("root", "POST", "", "", "X-Account-Quota-Bytes-Policy-Gold", "5").want(400)
	// A quota for one policy bounds all containers that have it, and no others.
	w.as("root", "POST", "", "", "X-Account-Quota-Bytes-Policy-Large-Blocks", "6").want(204)
	w.do("PUT", "l1", "", "X-Storage-Policy", "large-blocks").want(201)
	w.do("PUT", "l2", "", "X-Storage-Policy", "large-blocks").want(201)
	w.do("PUT", "l1/o", "1234").want(201)
	w.do("PUT", "l2/o", "123").want(413)
	w.do("PUT", "l2/o", "12").want(201)
	w.do("PUT", "c/o", "1234567").want(201)
	w.do("DELETE", "c/o", "").want(204)
	w.do("DELETE", "l1/o", "").want(204)
	w.do("DELETE", "l2/o", "").want(204)
	w.as("root", "POST", "", "", "X-Account-Quota-Bytes", "4").want(204)
	w.do("PUT", "c/o", "12345").want(413)
	w.do("PUT", "c/o", "1234").want(201)
}

// TestServiceAccounts wants the account behind SERVICE_ to be another one, which neither the user nor the service reaches alone.
func TestServiceAccounts(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/SERVICE_test/c"
	w.do("PUT", path, "").want(403)
	w.as("service", "PUT", path, "").want(403)
	w.do("PUT", path, "", "X-Service-Token", "other").want(403)
	w.as("joe", "PUT", path, "", "X-Service-Token", "service").want(403)
	w.as("", "PUT", path, "", "X-Service-Token", "service").want(401)
	w.do("PUT", path, "", "X-Service-Token", "service").want(201)
	w.do("PUT", path+"/o", "body", "X-Service-Token", "service").want(201)
	w.do("GET", path+"/o", "").want(403)
	w.do("GET", "", "").want(204) // nothing shows in the user's own account
	w.do("GET", "/v1/SERVICE_test", "", "X-Service-Token", "service").want(200).is("c\n")
	w.as("root", "GET", "/v1/SERVICE_nobody", "").want(404)
	w.do("GET", "/v1/OTHER_test", "").want(403)
}
