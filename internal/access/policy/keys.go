package policy

import "strings"

// foldKey is a condition key as it is compared: in lower case, but what follows a slash (a tag's key) keeps its case.
func foldKey(key string) string {
	name, tag, ok := strings.Cut(key, "/")
	if !ok {
		return lower(key)
	}
	return lower(name) + "/" + tag
}

// knownKey reports whether a key, folded, is one of the language. Keys that nothing here gives a value to (of VPCs, organisations, sessions)
// are known and always absent.
func knownKey(key string) bool {
	name, tag, tagged := strings.Cut(key, "/")
	if tagged {
		switch name {
		case "s3:existingobjecttag", "s3:requestobjecttag", "s3:buckettag", "aws:requesttag", "aws:resourcetag", "aws:principaltag":
			return tag != ""
		}
		return false
	}
	if rest, ok := strings.CutPrefix(key, "aws:"); ok {
		return strings.Contains(globalKeys, " "+rest+" ")
	}
	if rest, ok := strings.CutPrefix(key, "s3:"); ok {
		return strings.Contains(s3Keys, " "+rest+" ")
	}
	return false
}

// globalKeys are the keys that begin with "aws:" (IAM User Guide, "AWS global condition context keys").
const globalKeys = " assumedroot calledvia calledviafirst calledvialast chatbotsourcearn currenttime ec2instancesourceprivateipv4 ec2instancesourcevpc" +
	" epochtime federatedprovider multifactorauthage multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid" +
	" principalorgpaths principalservicename principalservicenameslist principaltype referer requestedregion resourceaccount resourceorgid" +
	" resourceorgpaths securetransport sourceaccount sourcearn sourceidentity sourceip sourceorgid sourceorgpaths sourceowner sourcevpc sourcevpcarn sourcevpce" +
	" tagkeys tokenissuetime useragent userid username viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip "

// s3Keys are the keys that begin with "s3:" (Service Authorization Reference, "Condition keys for Amazon S3").
const s3Keys = " accessgrantsinstancearn accesspointnetworkorigin authtype dataaccesspointaccount dataaccesspointarn delimiter destinationregion if-match" +
	" if-none-match inventoryaccessibleoptionalfields isreplicationpauserequest jobsuspendedcause locationconstraint max-keys" +
	" object-lock-legal-hold object-lock-mode object-lock-remaining-retention-days object-lock-retain-until-date objectcreationoperation prefix" +
	" requestjoboperation requestjobpriority requestobjecttagkeys resourceaccount signatureage signatureversion tlsversion versionid" +
	" x-amz-acl x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write" +
	" x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption" +
	" x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website-redirect-location "

// fact is a value of the request: who asks is known to the request itself, the rest to its facts.
func (q *Request) fact(key string) ([]string, bool) {
	switch key {
	case "aws:username":
		if q.User != "" {
			return []string{q.User}, true
		}
		return nil, false
	case "aws:userid":
		switch {
		case q.Account == "":
			return []string{"anonymous"}, true
		case q.User == "":
			return []string{q.Account}, true
		}
		return []string{q.Account + ":" + q.User}, true
	case "aws:principaltype":
		switch {
		case q.Account == "":
			return []string{"Anonymous"}, true
		case q.User == "":
			return []string{"Account"}, true
		}
		return []string{"User"}, true
	case "aws:principalaccount":
		if q.Account != "" {
			return []string{q.Account}, true
		}
		return nil, false
	case "aws:principalarn":
		switch {
		case q.Account == "":
			return nil, false
		case q.User == "":
			return []string{"arn:aws:iam::" + q.Account + ":root"}, true
		}
		return []string{"arn:aws:iam::" + q.Account + ":user/" + q.User}, true
	}
	if q.Facts == nil {
		return nil, false
	}
	return q.Facts.Fact(key)
}
