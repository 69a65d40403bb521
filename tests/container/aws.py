"""The emulated AWS: what a job needs to reach it, and boto3 as the judge of what was written."""

import os

import boto3

ENVIRONMENT = {
    "AWS_ENDPOINT_URL": os.environ["MOTO_URL"],
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def stored(name):
    """The value of a secret in Secrets Manager; None without one."""
    client = boto3.client(
        "secretsmanager", region_name="eu-west-1", endpoint_url=os.environ["MOTO_URL"], aws_access_key_id="a", aws_secret_access_key="b"
    )
    try:
        return client.get_secret_value(SecretId=name)["SecretString"]
    except client.exceptions.ResourceNotFoundException:
        return None
