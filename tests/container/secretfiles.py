"""Secretfiles of the tests, each under a name of its own in the store."""


def secretfile(name, more=""):
    """One secret in AWS Secrets Manager, and a policy that it breaks."""
    return f"""\
version: "1.0"
metadata:
  project: {name}
providers:
  aws:
    kind: aws
    auth:
      kind: ambient
      config:
        region: eu-west-1
policies:
  owned:
    kind: audit
    require_tags: true
    required_tags: [Team]
    severity: warning
secrets:
  - name: password
    kind: random_password
    rotation_period: 90d
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: {name}/password
{more}"""


def another(name):
    """One more secret, for the end of the list."""
    return f"""\
  - name: token
    kind: random_string
    rotation_period: 90d
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: {name}/token
"""
