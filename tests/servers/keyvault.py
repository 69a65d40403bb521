"""Microsoft's clients for Key Vault: what they read of a vault, and their paces against a server.

Run with the name of a part; what it is asked comes as JSON on standard input, what was seen goes out as
JSON. Proxy, CA and login come from the environment.
"""
import base64
import json
import os
import sys

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.secrets import SecretClient


def shown(moment):
    return moment and moment.isoformat()


def refused(call):
    """Status and inner code of a call that must fail."""
    try:
        call()
    except HttpResponseError as error:
        inner = getattr(error.error, "innererror", None) or {}
        return [error.status_code, error.error and error.error.code, inner.get("code")]
    return "it was not refused"


def read(asked, credential):
    secrets = SecretClient(asked["vault"], credential)
    certificates = CertificateClient(asked["vault"], credential)
    found = {"secrets": {}, "certificates": {}}
    for item in secrets.list_properties_of_secrets():
        secret = secrets.get_secret(item.name)
        properties = secret.properties
        found["secrets"][item.name] = {
            "value": secret.value, "content_type": properties.content_type, "enabled": properties.enabled,
            "expires_on": shown(properties.expires_on), "not_before": shown(properties.not_before),
            "tags": properties.tags, "managed": bool(item.managed),
        }
    for item in certificates.list_properties_of_certificates():
        certificate = certificates.get_certificate(item.name)
        found["certificates"][item.name] = {
            "cer": base64.b64encode(bytes(certificate.cer)).decode(), "tags": certificate.properties.tags,
            "content_type": certificate.policy.content_type, "enabled": certificate.properties.enabled,
            "x5t": base64.urlsafe_b64encode(bytes(certificate.properties.x509_thumbprint)).decode().rstrip("="),
        }
    return found


def secrets(asked, credential):
    client = SecretClient(asked["vault"], credential)
    seen = {}
    first = client.set_secret("Judge", "one", tags={"a": "1"}, content_type="text/plain")
    second = client.set_secret("judge", "two", tags={"b": "2"}, enabled=True)
    seen["name stays as first written"] = second.name
    seen["newest is read"] = client.get_secret("JUDGE").value
    seen["older is read by version"] = client.get_secret("judge", first.properties.version).value
    versions = list(client.list_properties_of_secret_versions("judge"))
    seen["versions"] = sorted([v.tags for v in versions], key=str)
    seen["versions have no value"] = not any(hasattr(v, "value") for v in versions)
    patched = client.update_secret_properties("judge", second.properties.version, tags={"c": "3"}, content_type="x/y")
    seen["patch replaces tags and keeps the version"] = [patched.tags, patched.version == second.properties.version]
    seen["value after patch"] = client.get_secret("judge").value
    for n in range(60):
        client.set_secret(f"many-{n:02}", "v")
    seen["listed over pages, some empty"] = len(list(client.list_properties_of_secrets()))
    client.update_secret_properties("many-00", enabled=False)
    seen["disabled"] = refused(lambda: client.get_secret("many-00"))
    seen["absent"] = refused(lambda: client.get_secret("never"))
    seen["bad name"] = refused(lambda: client.set_secret("a_b", "v"))
    seen["too large"] = refused(lambda: client.set_secret("large", "x" * 25601))
    seen["too many tags"] = refused(lambda: client.set_secret("tags", "v", tags={str(n): "" for n in range(16)}))
    poller = client.begin_delete_secret("judge")
    seen["being deleted"] = refused(lambda: client.set_secret("judge", "three"))
    poller.wait()
    seen["deleted"] = refused(lambda: client.get_secret("judge"))
    seen["keeps its name"] = refused(lambda: client.set_secret("judge", "three"))
    seen["in the bin"] = [item.name for item in client.list_deleted_secrets()]
    seen["bin says when it ends"] = client.get_deleted_secret("judge").scheduled_purge_date is not None
    client.begin_recover_deleted_secret("judge").wait()
    seen["recovered"] = client.get_secret("judge").value
    client.begin_delete_secret("judge").wait()
    client.purge_deleted_secret("judge")
    seen["after the purge the name is free"] = client.set_secret("judge", "four").value
    return seen


def certificates(asked, credential):
    client = CertificateClient(asked["vault"], credential)
    keeper = SecretClient(asked["vault"], credential)
    seen = {}
    pfx = base64.b64decode(asked["pfx"])
    made = client.import_certificate("app", pfx, password=asked["password"], tags={"a": "1"})
    seen["same certificate"] = base64.b64encode(bytes(made.cer)).decode() == asked["der"]
    seen["wrong password"] = refused(lambda: client.import_certificate("bad", pfx, password="no"))
    pem = CertificatePolicy(content_type="application/x-pem-file")
    made_pem = client.import_certificate("pem", asked["pem"].encode(), policy=pem)
    seen["pem is the same one"] = made_pem.properties.x509_thumbprint == made.properties.x509_thumbprint
    seen["content types"] = [made.policy.content_type, made_pem.policy.content_type]
    seen["its secret is managed"] = refused(lambda: keeper.set_secret("app", "v"))
    seen["its secret is listed"] = [[s.name, bool(s.managed)] for s in keeper.list_properties_of_secrets()]
    changed = client.update_certificate_properties("app", made.properties.version, tags={"b": "2"}, enabled=True)
    seen["patch keeps the version"] = [changed.properties.tags, changed.properties.version == made.properties.version]
    keeper.set_secret("taken", "v")
    seen["a secret has the name"] = refused(lambda: client.import_certificate("taken", pfx, password=asked["password"]))
    client.begin_delete_certificate("app").wait()
    seen["deleted with its secret"] = refused(lambda: keeper.get_secret("app"))
    client.begin_recover_deleted_certificate("app").wait()
    seen["recovered"] = client.get_certificate("app").name
    return seen


def logins(asked, credential):
    seen = {}
    tenant, client = os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"]

    def says(tenant, client, secret):
        try:
            ClientSecretCredential(tenant, client, secret).get_token("https://vault.azure.net/.default")
        except ClientAuthenticationError as error:
            return [word.strip(":.") for word in str(error).split() if word.startswith("AADSTS")][:1]
        return "it was not refused"

    seen["wrong secret"] = says(tenant, client, "wrong")
    seen["unknown client"] = says(tenant, "nobody", "wrong")
    seen["the environment logs in"] = SecretClient(asked["vault"], credential).set_secret("a", "b").value
    return seen


if __name__ == "__main__":
    parts = {"read": read, "secrets": secrets, "certificates": certificates, "logins": logins}
    json.dump(parts[sys.argv[1]](json.load(sys.stdin), DefaultAzureCredential()), sys.stdout)
