"""What Terraform's AWS provider calls for its aws_secretsmanager_* resources, in its order.

Source: the resources in internal/service/secretsmanager of hashicorp/terraform-provider-aws. It is given the
endpoint.
"""

import json
import sys
import uuid

import boto3
from botocore.config import Config

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:rotate-postgres"
client = boto3.client(
    "secretsmanager", endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="local", aws_secret_access_key="local",
    config=Config(retries={"total_max_attempts": 1}),
)
refusals = client.exceptions


def unique():
    """As the provider makes its tokens: no UUID."""
    return f"terraform-{uuid.uuid4().hex[:26]}"


def document(number):
    who = {"AWS": f"arn:aws:iam::{number:012}:role/reader"}
    return json.dumps({"Statement": [{"Action": "secretsmanager:GetSecretValue", "Effect": "Allow", "Principal": who,
                                      "Resource": "*"}], "Version": "2012-10-17"}, separators=(",", ":"))


def read(arn):
    """What a refresh makes of the secret: it is gone if a deletion is planned."""
    try:
        secret = client.describe_secret(SecretId=arn)
    except refusals.ResourceNotFoundException:
        return None
    if secret.get("DeletedDate"):
        return None
    return {
        "description": secret.get("Description"), "kms_key_id": secret.get("KmsKeyId"), "name": secret["Name"],
        "replica": [(one["Region"], one["Status"]) for one in secret.get("ReplicationStatus", [])],
        "policy": client.get_resource_policy(SecretId=arn).get("ResourcePolicy", ""),
        "tags": {one["Key"]: one["Value"] for one in secret.get("Tags", [])},
        "rotation": secret.get("RotationEnabled"), "rules": secret.get("RotationRules"),
    }


def holder(arn, label):
    """The version with a label, as the provider looks for it."""
    rows = client.list_secret_version_ids(SecretId=arn)["Versions"]
    return next(row["VersionId"] for row in rows if label in row["VersionStages"])


# aws_secretsmanager_secret: created with tags, a copy and a policy, and read.
arn = client.create_secret(
    Name="tf/db", Description="Orders", ClientRequestToken=unique(), ForceOverwriteReplicaSecret=False,
    KmsKeyId="alias/app", Tags=[{"Key": "team", "Value": "a"}], AddReplicaRegions=[{"Region": "eu-west-1"}],
)["ARN"]
client.describe_secret(SecretId=arn)
client.put_resource_policy(SecretId=arn, ResourcePolicy=document(1))
made = {"description": "Orders", "kms_key_id": "alias/app", "name": "tf/db", "replica": [("eu-west-1", "InSync")],
        "policy": document(1), "tags": {"team": "a"}, "rotation": None, "rules": None}
assert read(arn) == made, read(arn)
assert read(arn) == made, "a second plan finds no difference"

# aws_secretsmanager_secret_version: put, read by its id, and put anew; labels moved as its update does.
versions = []
for text in ("one", "two"):
    versions.append(unique())
    put = client.put_secret_value(SecretId=arn, SecretString=text, ClientRequestToken=versions[-1])
    value = client.get_secret_value(SecretId=arn, VersionId=put["VersionId"])
    assert (value["SecretString"], value["VersionStages"]) == (text, ["AWSCURRENT"]), value
assert holder(arn, "AWSCURRENT") == versions[1]
client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=versions[0],
                                   RemoveFromVersionId=holder(arn, "AWSCURRENT"))
client.update_secret_version_stage(SecretId=arn, VersionStage="mine", MoveToVersionId=versions[0])
assert client.get_secret_value(SecretId=arn, VersionId=versions[0])["VersionStages"] == ["AWSCURRENT", "mine"]

# aws_secretsmanager_secret_policy: public ones blocked, put, read, deleted.
client.put_resource_policy(SecretId=arn, ResourcePolicy=document(2), BlockPublicPolicy=True)
assert read(arn)["policy"] == document(2)

# aws_secretsmanager_secret_rotation: by days, changed to an expression, read, and cancelled.
rules = {"AutomaticallyAfterDays": 30}
client.rotate_secret(SecretId=arn, ClientRequestToken=unique(), RotationLambdaARN=FUNCTION, RotationRules=rules,
                     RotateImmediately=True)
assert (read(arn)["rotation"], read(arn)["rules"]) == (True, rules)
client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING",
                                   RemoveFromVersionId=holder(arn, "AWSPENDING"))
rules = {"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"}
client.rotate_secret(SecretId=arn, ClientRequestToken=unique(), RotationLambdaARN=FUNCTION, RotationRules=rules,
                     RotateImmediately=False)
assert read(arn)["rules"] == rules, read(arn)

# The secret's update: copies, description and key, policy, tags, each where it changed.
client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=["eu-west-1"])
client.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=[{"Region": "eu-west-3"}],
                                   ForceOverwriteReplicaSecret=False)
client.update_secret(SecretId=arn, ClientRequestToken=unique(), Description="", KmsKeyId="alias/other")
client.delete_resource_policy(SecretId=arn)
client.untag_resource(SecretId=arn, TagKeys=["team"])
client.tag_resource(SecretId=arn, Tags=[{"Key": "env", "Value": "test"}])
changed = {"description": None, "kms_key_id": "alias/other", "name": "tf/db", "replica": [("eu-west-3", "InSync")],
           "policy": "", "tags": {"env": "test"}, "rotation": True, "rules": rules}
assert read(arn) == changed, read(arn)

# The data sources.
assert len(client.get_random_password(PasswordLength=20, ExcludeCharacters="/@\"", IncludeSpace=False)
           ["RandomPassword"]) == 20
found = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": ["tf/"]}])
assert [one["ARN"] for page in found for one in page["SecretList"]] == [arn]
assert client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"] == "one"

# Destroyed in the order of dependencies.
client.cancel_rotate_secret(SecretId=arn)
client.update_secret_version_stage(SecretId=arn, VersionStage="mine", RemoveFromVersionId=versions[0])
client.delete_resource_policy(SecretId=arn)
client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=["eu-west-3"])
client.delete_secret(SecretId=arn, RecoveryWindowInDays=30)
assert read(arn) is None
try:
    client.get_secret_value(SecretId=arn, VersionId=versions[0])
    raise AssertionError("a deleted secret was read")
except refusals.InvalidRequestException as error:
    # The provider looks for these words.
    assert "because it was marked for deletion" in error.response["Error"]["Message"]
try:
    client.create_secret(Name="tf/db", ClientRequestToken=unique())
    raise AssertionError("a deleted secret was made again")
except refusals.InvalidRequestException as error:
    assert "scheduled for deletion" in error.response["Error"]["Message"]
client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
client.create_secret(Name="tf/db", ClientRequestToken=unique())
print("as AWS")
