"""Judges the fake, and what we wrote to it, by what Google ships: its Python client and its
discovery document of the API.

usage: judge.py client URL TOKEN      the client goes through its paces against the fake
       judge.py read URL TOKEN ID     prints what the client reads of a secret, as JSON
       judge.py schema                checks exchanges, JSON lines on stdin, against the document
"""

import json
import pathlib
import re
import sys

PROJECT = "projects/shop-prod"
NUMBER = "projects/442211009988"


def connect(url, token):
    from google.cloud import secretmanager_v1 as sm
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import rest
    from google.oauth2.credentials import Credentials

    scheme, host = url.split("://")
    transport = rest.SecretManagerServiceRestTransport(
        host=host, credentials=Credentials(token=token), url_scheme=scheme
    )
    return sm, sm.SecretManagerServiceClient(transport=transport)


def refused(code, call, *args, **kwargs):
    """By the code of the body: over REST the client's own classes go by the status alone."""
    from google.api_core.exceptions import GoogleAPICallError

    try:
        call(*args, **kwargs)
    except GoogleAPICallError as error:
        found = error.response.json()["error"]["status"]
        assert found == code, f"{call} was refused with {found}, not {code}"
        return
    raise AssertionError(f"{call} was not refused with {code}")


def client(url, token):
    from google.protobuf import field_mask_pb2

    sm, api = connect(url, token)
    refused("NOT_FOUND", api.get_secret, name=f"{PROJECT}/secrets/none")
    made = api.create_secret(
        parent=PROJECT,
        secret_id="db",
        secret=sm.Secret(
            replication=sm.Replication(automatic=sm.Replication.Automatic()),
            labels={"team": "core"},
            annotations={"owner": "Ann"},
        ),
    )
    assert made.name == f"{NUMBER}/secrets/db" and made.etag.startswith('"'), made
    assert made.create_time.microsecond, made.create_time
    refused("ALREADY_EXISTS", api.create_secret, parent=PROJECT, secret_id="db",
            secret=sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic())))
    for bad in (dict(labels={"Team": "x"}), dict(annotations={"-": "x"}), dict(topics=[sm.Topic(name="x")])):
        secret = sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic()), **bad)
        refused("INVALID_ARGUMENT", api.create_secret, parent=PROJECT, secret_id="bad", secret=secret)
    # Versions, with and without a checksum.
    refused("NOT_FOUND", api.access_secret_version, name=f"{made.name}/versions/latest")
    data = b"one\x00\xff"
    add = lambda payload: api.add_secret_version(parent=made.name, payload=payload)
    one = add(sm.SecretPayload(data=data, data_crc32c=crc32c(data)))
    assert one.name == f"{made.name}/versions/1" and one.client_specified_payload_checksum, one
    refused("INVALID_ARGUMENT", add, sm.SecretPayload(data=data, data_crc32c=1))
    refused("INVALID_ARGUMENT", add, sm.SecretPayload(data=b"x" * 65537))
    two = add(sm.SecretPayload(data=b"two"))
    assert not two.client_specified_payload_checksum
    read = api.access_secret_version(name=f"{made.name}/versions/latest")
    assert (read.name, read.payload.data) == (two.name, b"two")
    assert read.payload.data_crc32c == crc32c(b"two")
    # States: `latest` stays the newest, even disabled; destroyed is for good.
    off = api.disable_secret_version(request=sm.DisableSecretVersionRequest(name=two.name, etag=two.etag))
    assert off.state == sm.SecretVersion.State.DISABLED and off.etag != two.etag
    refused("FAILED_PRECONDITION", api.access_secret_version, name=f"{made.name}/versions/latest")
    refused("FAILED_PRECONDITION", api.enable_secret_version,
            request=sm.EnableSecretVersionRequest(name=two.name, etag=two.etag))
    api.enable_secret_version(name=two.name)
    gone = api.destroy_secret_version(name=one.name)
    assert gone.state == sm.SecretVersion.State.DESTROYED and gone.destroy_time.year > 2000
    refused("FAILED_PRECONDITION", api.enable_secret_version, name=one.name)
    listed = list(api.list_secret_versions(request=sm.ListSecretVersionsRequest(parent=made.name, page_size=1)))
    assert [version.name for version in listed] == [two.name, one.name]
    listed = api.list_secret_versions(
        request=sm.ListSecretVersionsRequest(parent=made.name, filter="state:ENABLED"))
    assert [version.name for version in listed] == [two.name]
    # Changes: by mask, by etag, and never where it is kept.
    mask = lambda *paths: field_mask_pb2.FieldMask(paths=paths)
    now = api.get_secret(name=made.name)
    assert now.etag == made.etag, "a version does not change the secret's etag"
    changed = api.update_secret(
        secret=sm.Secret(name=made.name, etag=now.etag, labels={"env": "prod"}, annotations={"lost": "1"}),
        update_mask=mask("labels"))
    assert dict(changed.labels) == {"env": "prod"} and dict(changed.annotations) == {"owner": "Ann"}
    refused("FAILED_PRECONDITION", api.update_secret,
            secret=sm.Secret(name=made.name, etag=now.etag), update_mask=mask("labels"))
    replicas = sm.Replication(user_managed=sm.Replication.UserManaged(
        replicas=[sm.Replication.UserManaged.Replica(location="europe-west1")]))
    refused("INVALID_ARGUMENT", api.update_secret,
            secret=sm.Secret(name=made.name, replication=replicas), update_mask=mask("replication"))
    other = api.create_secret(parent=PROJECT, secret_id="other", secret=sm.Secret(replication=replicas))
    found = list(api.list_secrets(request=sm.ListSecretsRequest(parent=PROJECT, filter="name:oth")))
    assert [secret.name for secret in found] == [other.name]
    assert len(list(api.list_secrets(parent=PROJECT))) == 2
    api.delete_secret(name=other.name)
    refused("NOT_FOUND", api.get_secret, name=other.name)
    print("ok")


def crc32c(data):
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ 0x82F63B78 if rest & 1 else rest >> 1
    return rest ^ 0xFFFFFFFF


def read(url, token, name):
    sm, api = connect(url, token)
    path = f"{PROJECT}/secrets/{name}"
    secret = api.get_secret(name=path)
    value = api.access_secret_version(name=f"{path}/versions/latest")
    assert value.payload.data_crc32c == crc32c(value.payload.data)
    versions = list(api.list_secret_versions(parent=path))
    out = json.loads(sm.Secret.to_json(secret, including_default_value_fields=False))
    out["value"] = value.payload.data.decode()
    out["states"] = [version.state.name for version in reversed(versions)]
    print(json.dumps(out))


def document():
    import googleapiclient

    folder = pathlib.Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    return json.loads((folder / "secretmanager.v1.json").read_text())


def methods(resource):
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


def check(schemas, schema, value, where):
    """One value against one schema, which knows no other fields than it names."""
    if "$ref" in schema:
        return check(schemas, schemas[schema["$ref"]], value, where)
    kind = schema.get("type")
    if kind == "object":
        assert isinstance(value, dict), f"{where} is no object"
        for key, inner in value.items():
            if "additionalProperties" in schema:
                check(schemas, schema["additionalProperties"], inner, f"{where}.{key}")
            else:
                assert key in schema.get("properties", {}), f"{where} has no field {key}"
                check(schemas, schema["properties"][key], inner, f"{where}.{key}")
    elif kind == "array":
        assert isinstance(value, list), f"{where} is no list"
        for inner in value:
            check(schemas, schema["items"], inner, f"{where}[]")
    elif kind == "string":
        assert isinstance(value, str), f"{where} is no text"
        if "enum" in schema:
            assert value in schema["enum"], f"{where} cannot be {value}"
        form = schema.get("format")
        if form == "int64":
            assert re.fullmatch(r"-?\d+", value), f"{where} is no number"
        if form == "google-datetime":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), f"{where}: {value}"
        if form == "google-duration":
            assert re.fullmatch(r"\d+(\.\d+)?s", value), f"{where}: {value}"
    elif kind == "boolean":
        assert isinstance(value, bool), f"{where} is neither true nor false"
    elif kind == "integer":
        assert isinstance(value, int), f"{where} is no number"


def schema():
    doc = document()
    known, common = list(methods(doc)), doc["parameters"]
    counts = {}
    for line in sys.stdin:
        exchange = json.loads(line)
        verb, path = exchange["method"], exchange["path"].lstrip("/")
        fits = []
        for method in known:
            pattern, params = method["flatPath"], method["parameters"]
            pattern = re.sub(r"\{[^}]*\}", "[^/:]+", pattern.replace(".", r"\."))
            if method["httpMethod"] == verb and re.fullmatch(pattern, path):
                fits.append((method, params))
        assert len(fits) == 1, f"{verb} {path} is {len(fits)} methods"
        method, params = fits[0]
        counts[method["id"]] = counts.get(method["id"], 0) + 1
        for name, value in exchange["query"]:
            if name in common or name.startswith("$"):
                continue
            assert name in params, f"{method['id']} has no parameter {name}"
            if params[name].get("type") == "integer":
                assert value.isdigit(), name
        if exchange["body"] is not None:
            assert "request" in method, f"{method['id']} takes no body"
            check(doc["schemas"], method["request"], exchange["body"], method["id"])
        if exchange["answer"] is not None:
            check(doc["schemas"], method["response"], exchange["answer"], f"{method['id']} answer")
    print(json.dumps(counts))


{"client": client, "read": read, "schema": schema}[sys.argv[1]](*sys.argv[2:])
