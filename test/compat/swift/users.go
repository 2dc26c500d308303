package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"pithos/test/service"
)

// user is somebody whom the suite signs in as.
type user struct {
	account, name, password string
	roles                   []string
}

// The users of the suite, in the order of its configuration.
var users = []user{
	{"test", "tester", "testing", []string{"admin"}},
	{"test2", "tester2", "testing2", []string{"admin"}},
	{"test", "tester3", "testing3", []string{}},
	{"test4", "tester4", "testing4", []string{"admin"}},
	{"test5", "tester5", "testing5", []string{"service"}},
	{"resellers", "reseller", "reselling", []string{"admin", "reseller_admin"}},
	{"test", "tester2", "testing2", []string{"admin"}}, // for S3 only: a second owner of the first account
	{"test", "tester6", "testing6", []string{"reseller_admin"}},
}

// suiteUsers are the six of the suite's configuration. Its tests of Keystone know the last by name.
func suiteUsers(v3 bool) []user {
	list := slices.Clone(users[:6])
	if v3 {
		list[5] = users[7]
	}
	return list
}

func (u user) access() string { return u.account + ":" + u.name }
func (u user) secret() string { return u.password + "-secret-key" }

// storageDomain is the domain whose hosts name accounts and containers.
const storageDomain = "swift.example"

// options are those of a server for the suite.
func options(binary, data string) service.Options {
	o := service.Options{Binary: binary, Data: data, OpenStack: "  domains: [" + storageDomain + "]\n  reap_delay: 1h\n"}
	for _, u := range users {
		o.Users = append(o.Users, service.User{
			Name: u.name, Account: u.account, Password: u.password, Roles: u.roles, Access: u.access(), Secret: u.secret(),
			Canonical: owner(u.account), Display: owner(u.account), More: more(u),
		})
	}
	return o
}

// more puts the fourth user's account into a Keystone domain of its own.
func more(u user) string {
	if u.account == "test4" {
		return "      domain: " + otherDomain + "\n"
	}
	return ""
}

// otherDomain is the Keystone domain of the fourth user.
const otherDomain = "test-domain"

// owner is the account's id in S3: s3api takes the first user's for it.
func owner(account string) string {
	if account == "test" {
		return "test:tester"
	}
	return account
}

// suiteConfig writes the configuration of the suite.
func suiteConfig(s *service.Service, v3 bool) string {
	var b strings.Builder
	b.WriteString("[func_test]\ncollate = C\ninsecure = no\nservice_prefix = SERVICE\nstorage_domain = " + storageDomain + "\n")
	if v3 {
		fmt.Fprintf(&b, "auth_version = 3\nauth_uri = %s/v3/\n", s.SwiftURL())
	} else {
		fmt.Fprintf(&b, "auth_uri = %s/auth/v1.0\n", s.SwiftURL())
	}
	for i, u := range suiteUsers(v3) {
		n := ""
		if i > 0 {
			n = strconv.Itoa(i + 1)
		}
		if i != 2 {
			fmt.Fprintf(&b, "account%s = %s\n", n, u.account)
		}
		fmt.Fprintf(&b, "username%s = %s\npassword%s = %s\n", n, u.name, n, u.password)
		if v3 {
			domain := "Default"
			if i == 3 {
				domain = otherDomain
			}
			fmt.Fprintf(&b, "domain%s = %s\n", n, domain)
		}
	}
	fmt.Fprintf(&b, "s3_storage_url = %s/\ns3_region = us-east-1\n", s.SwiftURL())
	var second strings.Builder
	fmt.Fprintf(&second, "\n[s3api_test]\nendpoint = %s\nregion = us-east-1\ns3_acl_tests_enabled = True\n", s.SwiftURL())
	for i, u := range []user{users[0], users[6], users[2]} {
		n := ""
		if i > 0 {
			n = strconv.Itoa(i + 1)
		}
		fmt.Fprintf(&b, "s3_access_key%s = %s\ns3_secret_key%s = %s\n", n, u.access(), n, u.secret())
		if i == 1 {
			u = users[1] // the second suite wants a user who owns no bucket of the first one's; here accounts own buckets
		}
		fmt.Fprintf(&second, "access_key%d = %s\nsecret_key%d = %s\n", i+1, u.access(), i+1, u.secret())
	}
	return b.String() + second.String()
}

// answered is how many requests the server has counted.
func answered(ctx context.Context, s *service.Service) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	sum := int64(0)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "} "); ok && strings.HasPrefix(name, "pithos_requests_total{") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += int64(n)
		}
	}
	return sum, lines.Err()
}
