package policy

import "strings"

// others are actions of this service beside S3's.
const others = " swift:postaccount swift:postcontainer pithos:putobjectsharing pithos:purgehistory pithos:lookback "

// validAction tells whether a pattern of a bucket policy names an action that there is. A typing error in a Deny would otherwise
// go unnoticed. Identity policies may name actions of other services, for which they mean nothing here.
func validAction(t *text, kind Kind) bool {
	pattern := t.fixed
	raw := lower(t.raw)
	if raw == "*" {
		return true
	}
	vendor, name, ok := strings.Cut(raw, ":")
	if !ok || vendor == "" || name == "" {
		return false
	}
	if kind == Identity && vendor != "s3" && vendor != "swift" && vendor != "pithos" {
		return !strings.ContainsAny(vendor, "*?")
	}
	for a := range strings.FieldsSeq(others) {
		if glob(pattern, a) {
			return true
		}
	}
	for a := range strings.FieldsSeq(actions) {
		if glob(pattern, "s3:"+a) {
			return true
		}
	}
	return false
}

// actions are those of S3, in lower case (Service Authorization Reference, "Actions defined by Amazon S3").
const actions = `
abortmultipartupload associateaccessgrantsidentitycenter bypassgovernanceretention createaccessgrant createaccessgrantsinstance
createaccessgrantslocation createaccesspoint createaccesspointforobjectlambda createbucket createbucketmetadatatableconfiguration createjob
createmultiregionaccesspoint createstoragelensgroup deleteaccessgrant deleteaccessgrantsinstance deleteaccessgrantsinstanceresourcepolicy
deleteaccessgrantslocation deleteaccesspoint deleteaccesspointforobjectlambda deleteaccesspointpolicy deleteaccesspointpolicyforobjectlambda
deletebucket deletebucketmetadatatableconfiguration deletebucketpolicy deletebucketwebsite deletejobtagging deletemultiregionaccesspoint
deleteobject deleteobjecttagging deleteobjectversion deleteobjectversiontagging deletestoragelensconfiguration
deletestoragelensconfigurationtagging deletestoragelensgroup describejob describemultiregionaccesspointoperation
dissociateaccessgrantsidentitycenter getaccelerateconfiguration getaccessgrant getaccessgrantsinstance getaccessgrantsinstanceforprefix
getaccessgrantsinstanceresourcepolicy getaccessgrantslocation getaccesspoint getaccesspointconfigurationforobjectlambda
getaccesspointforobjectlambda getaccesspointpolicy getaccesspointpolicyforobjectlambda getaccesspointpolicystatus
getaccesspointpolicystatusforobjectlambda getaccountpublicaccessblock getanalyticsconfiguration getbucketabac getbucketacl getbucketcors
getbucketlocation getbucketlogging getbucketmetadatatableconfiguration getbucketnotification getbucketobjectlockconfiguration
getbucketownershipcontrols getbucketpolicy getbucketpolicystatus getbucketpublicaccessblock getbucketrequestpayment getbuckettagging
getbucketversioning getbucketwebsite getdataaccess getencryptionconfiguration getintelligenttieringconfiguration getinventoryconfiguration
getjobtagging getlifecycleconfiguration getmetricsconfiguration getmultiregionaccesspoint getmultiregionaccesspointpolicy
getmultiregionaccesspointpolicystatus getmultiregionaccesspointroutes getobject getobjectacl getobjectattributes getobjectlegalhold
getobjectretention getobjecttagging getobjecttorrent getobjectversion getobjectversionacl getobjectversionattributes
getobjectversionforreplication getobjectversiontagging getobjectversiontorrent getreplicationconfiguration getstoragelensconfiguration
getstoragelensconfigurationtagging getstoragelensdashboard getstoragelensgroup initiatereplication listaccessgrants listaccessgrantsinstances
listaccessgrantslocations listaccesspoints listaccesspointsforobjectlambda listallmybuckets listbucket listbucketmultipartuploads
listbucketversions listcalleraccessgrants listjobs listmultipartuploadparts listmultiregionaccesspoints liststoragelensconfigurations
liststoragelensgroups listtagsforresource objectowneroverridetobucketowner pausereplication putaccelerateconfiguration
putaccessgrantsinstanceresourcepolicy putaccesspointconfigurationforobjectlambda putaccesspointpolicy putaccesspointpolicyforobjectlambda
putaccesspointpublicaccessblock putaccountpublicaccessblock putanalyticsconfiguration putbucketabac putbucketacl putbucketcors putbucketlogging
putbucketnotification putbucketobjectlockconfiguration putbucketownershipcontrols putbucketpolicy putbucketpublicaccessblock
putbucketrequestpayment putbuckettagging putbucketversioning putbucketwebsite putencryptionconfiguration putintelligenttieringconfiguration
putinventoryconfiguration putjobtagging putlifecycleconfiguration putmetricsconfiguration putmultiregionaccesspointpolicy putobject putobjectacl
putobjectlegalhold putobjectretention putobjecttagging putobjectversionacl putobjectversiontagging putreplicationconfiguration
putstoragelensconfiguration putstoragelensconfigurationtagging replicatedelete replicateobject replicatetags restoreobject
submitmultiregionaccesspointroutes tagresource untagresource updateaccessgrantslocation updatebucketmetadatainventorytableconfiguration
updatebucketmetadatajournaltableconfiguration updatejobpriority updatejobstatus updateobjectencryption updatestoragelensgroup
`
