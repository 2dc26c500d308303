"""Uses Pithos through the object store of openstacksdk. Environment: the usual variables of OpenStack, for Keystone v3; CONTAINER."""

import hashlib
import os
import tempfile
import urllib.parse

import openstack
import urllib3

CONTAINER = os.environ["CONTAINER"]
connection = openstack.connect()
swift = connection.object_store


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call.__name__}{args}{kwargs} was not refused")


def sign_in():
    token = connection.authorize()
    assert token and connection.current_project_id == os.environ["PROJECT"], connection.current_project_id
    assert swift.get_endpoint().endswith("/v1/AUTH_" + os.environ["PROJECT"]), swift.get_endpoint()
    info = swift.get_info()
    assert info.swift["max_file_size"] > 0 and info.slo and info.tempurl, info


def containers():
    swift.create_container(CONTAINER, metadata={"colour": "red"})
    # The SDK pages on to the end.
    for name in ("a", "b", "c"):
        swift.create_container(f"{CONTAINER}-{name}")
    names = [c.name for c in swift.containers(limit=2)]
    assert [n for n in names if n.startswith(CONTAINER)] == [CONTAINER] + [f"{CONTAINER}-{n}" for n in "abc"], names
    swift.set_container_metadata(CONTAINER, flavour="sweet", read_ACL=".r:*,.rlistings")
    about = swift.get_container_metadata(CONTAINER)
    assert about.metadata["flavour"] == "sweet" and about.metadata["colour"] == "red" and about.read_ACL == ".r:*,.rlistings", about
    swift.delete_container_metadata(CONTAINER, ["flavour"])
    assert "flavour" not in swift.get_container_metadata(CONTAINER).metadata
    for name in ("a", "b", "c"):
        swift.delete_container(f"{CONTAINER}-{name}", ignore_missing=False)
    refused(openstack.exceptions.NotFoundException, swift.delete_container, f"{CONTAINER}-a", ignore_missing=False)
    swift.set_account_metadata(town="here")
    assert swift.get_account_metadata().metadata["town"] == "here"
    swift.delete_account_metadata(["town"])
    assert "town" not in swift.get_account_metadata().metadata


def objects():
    # The SDK does not escape "?" and "%" in names.
    for name in ("plain", "dir/é ü ☃.txt", "dir/space plus+&=.txt"):
        body = os.urandom(1000)
        swift.upload_object(CONTAINER, name, data=body, metadata={"shape": "round"})
        assert swift.download_object(name, CONTAINER) == body, name
        assert b"".join(swift.stream_object(name, CONTAINER)) == body, name
        about = swift.get_object_metadata(name, CONTAINER)
        assert int(about.content_length) == 1000, about
        assert about.etag == hashlib.md5(body).hexdigest() and about.metadata["shape"] == "round", about
    swift.set_object_metadata("plain", CONTAINER, size="big", content_type="text/x-test", delete_after="1000")
    about = swift.get_object_metadata("plain", CONTAINER)
    assert about.content_type == "text/x-test" and about.metadata["size"] == "big" and int(about.delete_at) > 0, about
    refused(openstack.exceptions.NotFoundException, swift.get_object_metadata, "missing", CONTAINER)
    assert [o.name for o in swift.objects(CONTAINER, limit=1)] == ["dir/space plus+&=.txt", "dir/é ü ☃.txt", "plain"]
    assert [o.name for o in swift.objects(CONTAINER, prefix="p")] == ["plain"]


def segments():
    """Files in segments: static, which go with their manifest, and dynamic, which do not."""
    body = os.urandom(3 << 20)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        for name, static in (("static", True), ("dynamic", False)):
            swift.upload_object(CONTAINER, name, filename=file.name, segment_size=1 << 20, use_slo=static)
            assert swift.download_object(name, CONTAINER) == body, name
            assert not swift.is_object_stale(CONTAINER, name, file.name)
            about = swift.get_object_metadata(name, CONTAINER)
            assert bool(about.is_static_large_object) is static and bool(about.object_manifest) is not static, about
            segments = [o.name for o in swift.objects(CONTAINER) if o.name.startswith(name + "/")]
            assert len(segments) == 3 or static, segments


def temporary_links():
    swift.set_container_temp_url_key(CONTAINER, "secret key")
    assert swift.get_temp_url_key(CONTAINER) == b"secret key"
    host = swift.get_endpoint().split("/v1/")[0]
    path = f"/v1/AUTH_{os.environ['PROJECT']}/{CONTAINER}/linked"
    link = host + swift.generate_temp_url(path, 600, "PUT", temp_url_key="secret key")
    assert urllib3.request("PUT", link, body=b"by link").status == 201
    link = host + swift.generate_temp_url(path, 600, "GET", temp_url_key="secret key")
    assert urllib3.request("GET", link).data == b"by link"
    # The link opens nothing else. The container itself is public, so only its writing tells.
    assert urllib3.request("PUT", link, body=b"no").status == 401
    assert urllib3.request("DELETE", urllib.parse.urljoin(link, "plain")).status == 401


def clean():
    refused(openstack.exceptions.ConflictException, swift.delete_container, CONTAINER, ignore_missing=False)
    connection.delete_object(CONTAINER, "static")
    left = [c.name for c in swift.containers()]
    for container in left:
        for each in list(swift.objects(container)):
            assert not each.name.startswith("static"), each.name
            swift.delete_object(each, ignore_missing=False)
        swift.delete_container(container, ignore_missing=False)
    assert list(swift.containers()) == []


for step in (sign_in, containers, objects, segments, temporary_links, clean):
    step()
    print("ok", step.__name__)
