"""What other people's clients find in the stores after a sync: boto3, Microsoft's, HashiCorp's hvac.

Standard input names what to read, as JSON: `aws` (regions), `azure` (addresses of vaults), `vault`
(address, token, namespace and mounts of each), `files` (local paths), `shown` (values that are no
secrets). Proxy, CA and logins come from the environment. Each object is told with every field; a value
that is secret is told by a letter, the same for the same value, and by its length.
"""
import json
import os
import re
import sys

import boto3
import hvac
import urllib3
from azure.identity import ClientSecretCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.secrets import SecretClient

urllib3.disable_warnings()
asked = json.load(sys.stdin)
letters = {}


def shown(value):
    """A value, without showing a secret one."""
    if value in asked["shown"]:
        return json.dumps(value)
    # A text that a shown template holds around a secret.
    for template in asked["shown"]:
        before, sep, after = template.partition("{{password}}")
        if sep and value.startswith(before) and value.endswith(after):
            inner = value[len(before) : len(value) - len(after)]
            return f"{json.dumps(before)} + {shown(inner)} + {json.dumps(after)}"
    letter = letters.setdefault(value, chr(ord("A") + len(letters)) if len(letters) < 26 else f"#{len(letters)}")
    return f"secret {letter}, {len(value)} characters"


def content(text):
    """A value that is one text, or fields of a JSON object."""
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except ValueError:
            fields = None
        if isinstance(fields, dict):
            return [f"value.{name}: {shown(value)}" for name, value in fields.items()]
    return [f"value: {shown(text)}"]


def marked(tags):
    """Tags, ours without what differs from run to run."""
    tags = dict(tags or {})
    mark = tags.pop("secretzero", None)
    lines = [f"tag {key}: {value}" for key, value in sorted(tags.items())]
    if mark is not None:
        lines.append("mark: generation " + re.search(r":g=(\d+):", mark).group(1))
    return lines


def moment(when):
    """A moment; one that counts from now by its distance in days."""
    if when is None:
        return None
    import datetime

    ahead = when - datetime.datetime.now(datetime.timezone.utc)
    days = round(ahead.total_seconds() / 86400)
    return f"{days} days from now" if 0 <= days < 1000 else when.isoformat()


def told(name, fields):
    print(name)
    for field in fields:
        print(f"  {field}")


def aws(region):
    client = boto3.client("secretsmanager", region_name=region)
    for secret in client.get_paginator("list_secrets").paginate().search("SecretList"):
        name = secret["Name"]
        whole = client.describe_secret(SecretId=name)
        value = client.get_secret_value(SecretId=name)["SecretString"]
        fields = content(value)
        for key in ("Description", "KmsKeyId", "PrimaryRegion"):
            if whole.get(key):
                fields.append(f"{key}: {whole[key]}")
        for copy in sorted(whole.get("ReplicationStatus", []), key=lambda copy: copy["Region"]):
            fields.append(f"replica {copy['Region']}: {copy['Status']}")
        told(f"Secrets Manager {region} {name}", fields + marked({t["Key"]: t["Value"] for t in whole.get("Tags", [])}))
    client = boto3.client("ssm", region_name=region)
    for parameter in client.get_paginator("describe_parameters").paginate().search("Parameters"):
        name = parameter["Name"]
        value = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        fields = content(value)
        for key in ("Type", "Tier", "DataType", "KeyId", "Description"):
            if parameter.get(key):
                fields.append(f"{key}: {parameter[key]}")
        fields += [f"policy: {policy['PolicyText']}" for policy in parameter.get("Policies", [])]
        tags = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        told(f"SSM {region} {name}", fields + marked({t["Key"]: t["Value"] for t in tags}))


def azure(url):
    credential = ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
    )
    client = SecretClient(url, credential)
    for item in sorted(client.list_properties_of_secrets(), key=lambda item: item.name):
        if item.managed:
            continue
        secret = client.get_secret(item.name)
        fields = content(secret.value)
        properties = secret.properties
        for key, value in (
            ("content type", properties.content_type), ("enabled", properties.enabled),
            ("expires", moment(properties.expires_on)), ("not before", moment(properties.not_before)),
        ):
            if value is not None:
                fields.append(f"{key}: {value}")
        told(f"Key Vault {url} {item.name}", fields + marked(properties.tags))
    client = CertificateClient(url, credential)
    for item in client.list_properties_of_certificates():
        certificate = client.get_certificate(item.name)
        same = bytes(certificate.cer).hex() == asked["certificate"]
        fields = [f"the certificate given: {same}", f"content type: {certificate.policy.content_type}"]
        told(f"Key Vault {url} certificate {item.name}", fields + marked(certificate.properties.tags))


def folders(client, mount, below=""):
    for key in client.secrets.kv.v2.list_secrets(path=below, mount_point=mount)["data"]["keys"]:
        if key.endswith("/"):
            yield from folders(client, mount, below + key)
        else:
            yield below + key


def vault(where):
    client = hvac.Client(url=where["url"], token=where["token"], namespace=where["namespace"], verify=False)
    for path in folders(client, "secret"):
        entry = client.secrets.kv.v2.read_secret_version(path=path, mount_point="secret", raise_on_deleted_version=True)
        data, metadata = entry["data"]["data"], entry["data"]["metadata"]
        fields = [f"value.{name}: {shown(value)}" for name, value in data.items()]
        fields.append(f"version: {metadata['version']}")
        told(f"Vault {where['name']} kv {path}", fields + marked(metadata["custom_metadata"]))
    if not where["engines"]:
        return
    for name in client.secrets.database.list_roles()["data"]["keys"]:
        role = client.secrets.database.read_role(name=name)["data"]
        keys = ("db_name", "creation_statements", "default_ttl", "max_ttl")
        told(f"Vault {where['name']} database role {name}", [f"{key}: {role[key]}" for key in keys])
    for name in client.secrets.transit.list_keys()["data"]["keys"]:
        key = client.secrets.transit.read_key(name=name)["data"]
        keys = ("type", "derived", "exportable", "allow_plaintext_backup", "deletion_allowed", "latest_version")
        told(f"Vault {where['name']} transit key {name}", [f"{field}: {key[field]}" for field in keys])


def local(path):
    text = open(path, encoding="utf-8").read()
    if path.endswith(".json"):
        fields = json.loads(text)
        lines = []
        for name, value in fields.items():
            nested = value if isinstance(value, dict) else {"": value}
            lines += [f"{name}{'.' if key else ''}{key}: {shown(part)}" for key, part in nested.items()]
        return told(os.path.basename(path), lines)
    from dotenv import dotenv_values

    told(os.path.basename(path), [f"{key}: {shown(value)}" for key, value in dotenv_values(path).items()])


for region in asked["aws"]:
    aws(region)
for url in asked["azure"]:
    azure(url)
for where in asked["vault"]:
    vault(where)
for path in asked["files"]:
    local(path)
