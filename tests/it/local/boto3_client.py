"""What scripts in Python do with Secrets Manager through boto3, in one order; AWS's rules are asserted.

It is given the endpoint. It ends with a traceback where an answer is not as boto3's users know it from AWS.
"""

import datetime
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


def refused(refusal, operation, **arguments):
    """The class of an exception is what scripts decide by."""
    try:
        answer = operation(**arguments)
    except refusal as error:
        return error.response["Error"]["Message"]
    raise AssertionError(f"{operation.__name__} {arguments} gave {answer}")


def pages(operation, key, size, **arguments):
    """boto3 has a paginator for some of the lists only."""
    items, more = [], {}
    while True:
        page = operation(MaxResults=size, **arguments, **more)
        assert len(page[key]) <= size, page
        items += page[key]
        if "NextToken" not in page:
            return items
        more = {"NextToken": page["NextToken"]}


# A secret of text and one of bytes; a repeated creation with the same token is the same one.
token = str(uuid.uuid4())
new = {"Name": "py/text", "SecretString": "one", "ClientRequestToken": token, "Tags": [{"Key": "team", "Value": "a"}]}
made = client.create_secret(**new)
assert (made["Name"], made["VersionId"]) == ("py/text", token), made
refused(refusals.ResourceExistsException, client.create_secret, Name="py/text", SecretString="other")
client.create_secret(Name="py/bytes", SecretBinary=b"\x00\xff")
read = client.get_secret_value(SecretId="py/bytes")
assert read["SecretBinary"] == b"\x00\xff" and "SecretString" not in read
refused(refusals.ResourceNotFoundException, client.get_secret_value, SecretId="py/none")

# Versions and their labels. A value that is put twice with one token is one version; another value is refused.
first = made["VersionId"]
second = str(uuid.uuid4())
for _ in range(2):
    put = client.put_secret_value(SecretId=made["ARN"], SecretString="two", ClientRequestToken=second)
    assert put["VersionStages"] == ["AWSCURRENT"], put
refused(refusals.ResourceExistsException, client.put_secret_value, SecretId=made["ARN"], SecretString="three",
        ClientRequestToken=second)
value = client.get_secret_value(SecretId="py/text", VersionStage="AWSPREVIOUS")
assert (value["SecretString"], value["VersionId"]) == ("one", first), value
assert isinstance(value["CreatedDate"], datetime.datetime)
refused(refusals.ResourceNotFoundException, client.get_secret_value, SecretId="py/text", VersionStage="AWSPENDING")
client.put_secret_value(SecretId="py/text", SecretString="aside", VersionStages=["mine"])
client.update_secret_version_stage(SecretId="py/text", VersionStage="AWSCURRENT", MoveToVersionId=first,
                                   RemoveFromVersionId=second)
assert client.get_secret_value(SecretId="py/text")["SecretString"] == "one"
refused(refusals.InvalidParameterException, client.update_secret_version_stage, SecretId="py/text",
        VersionStage="AWSCURRENT", MoveToVersionId=second)
versions = pages(client.list_secret_version_ids, "Versions", 1, SecretId="py/text")
assert sorted(label for one in versions for label in one["VersionStages"]) == ["AWSCURRENT", "AWSPREVIOUS", "mine"]

# Lists, by pages and filters.
for number in range(5):
    client.create_secret(Name=f"py/list/{number}", SecretString=str(number))
listed = client.get_paginator("list_secrets").paginate(
    Filters=[{"Key": "name", "Values": ["py/list/"]}], PaginationConfig={"PageSize": 2})
names = [one["Name"] for page in listed for one in page["SecretList"]]
assert sorted(names) == [f"py/list/{number}" for number in range(5)], names
batch = client.batch_get_secret_value(SecretIdList=["py/list/1", "py/none"])
assert [one["SecretString"] for one in batch["SecretValues"]] == ["1"], batch
assert batch["Errors"][0]["ErrorCode"] == "ResourceNotFoundException", batch

# Tags, a description, a password, a policy.
client.tag_resource(SecretId="py/text", Tags=[{"Key": "env", "Value": "test"}])
client.untag_resource(SecretId="py/text", TagKeys=["team"])
assert "VersionId" not in client.update_secret(SecretId="py/text", Description="d")
described = client.describe_secret(SecretId="py/text")
assert (described["Description"], described["Tags"]) == ("d", [{"Key": "env", "Value": "test"}]), described
drawn = client.get_random_password(PasswordLength=12, ExcludeCharacters="abc")["RandomPassword"]
assert len(drawn) == 12 and not set(drawn) & set("abc")
assert "ResourcePolicy" not in client.get_resource_policy(SecretId="py/text")

# A rotation: begun, seen, in the way of the next one, cancelled.
refused(refusals.InvalidRequestException, client.rotate_secret, SecretId="py/text")
begun = client.rotate_secret(SecretId="py/text", RotationLambdaARN=FUNCTION,
                             RotationRules={"ScheduleExpression": "rate(30 days)", "Duration": "3h"})
described = client.describe_secret(SecretId="py/text")
assert described["VersionIdsToStages"][begun["VersionId"]] == ["AWSPENDING"], described
assert described["RotationEnabled"] and described["RotationRules"]["Duration"] == "3h", described
refused(refusals.InvalidRequestException, client.rotate_secret, SecretId="py/text")
client.cancel_rotate_secret(SecretId="py/text")
described = client.describe_secret(SecretId="py/text")
assert not described["RotationEnabled"] and described["RotationRules"]["ScheduleExpression"] == "rate(30 days)"

# Deleted with a window, restored, and gone at once.
gone = client.delete_secret(SecretId="py/text", RecoveryWindowInDays=7)
assert gone["DeletionDate"].tzinfo is not None
refused(refusals.InvalidRequestException, client.get_secret_value, SecretId="py/text")
assert isinstance(client.describe_secret(SecretId="py/text")["DeletedDate"], datetime.datetime)
client.restore_secret(SecretId="py/text")
assert client.get_secret_value(SecretId="py/text")["SecretString"] == "one"
client.delete_secret(SecretId="py/text", ForceDeleteWithoutRecovery=True)
refused(refusals.ResourceNotFoundException, client.describe_secret, SecretId="py/text")
print("as AWS")
