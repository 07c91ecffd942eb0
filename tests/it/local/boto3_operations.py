"""AWS's rules of each operation, played through boto3 at `fourstep serve`, and at moto, which others wrote.

It is given the endpoint and which of the two it is. A rule that moto does not keep says why, and must not hold
there: if it does, moto has changed, and the reason goes.
"""

import datetime
import json
import sys
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, WHICH = sys.argv[1:]
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:rotate-postgres"
RULES = []


def client_in(region):
    return boto3.client("secretsmanager", endpoint_url=URL, region_name=region, aws_access_key_id="local",
                        aws_secret_access_key="local", config=Config(retries={"total_max_attempts": 1}))


client = client_in("us-east-1")
refusals = client.exceptions


def rule(otherwise_at_moto=None):
    def add(function):
        RULES.append((function, otherwise_at_moto))
        return function
    return add


def named(name):
    """moto is one for all tests."""
    return f"rules/{uuid.uuid4()}/{name}"


def refused(refusal, operation, **arguments):
    try:
        answer = operation(**arguments)
    except refusal as error:
        return error.response["Error"]["Message"]
    raise AssertionError(f"{operation.__name__} {arguments} gave {answer}")


def policy(principal, effect="Allow"):
    statement = {"Effect": effect, "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@rule()
def a_policy_is_kept_as_it_was_put_until_it_is_deleted():
    arn = client.create_secret(Name=named("policy"))["ARN"]
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=arn)
    for number in ("000000000000", "000000000001"):
        text = policy({"AWS": f"arn:aws:iam::{number}:root"}) + " "
        assert client.put_resource_policy(SecretId=arn, ResourcePolicy=text)["ARN"] == arn
        assert client.get_resource_policy(SecretId=arn)["ResourcePolicy"] == text
    assert client.delete_resource_policy(SecretId=arn)["ARN"] == arn
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=arn)
    refused(refusals.ResourceNotFoundException, client.put_resource_policy, SecretId=named("none"),
            ResourcePolicy=text)


@rule("moto keeps any text as a policy, and validates none")
def a_policy_is_judged():
    arn = client.create_secret(Name=named("judged"))["ARN"]
    refused(refusals.MalformedPolicyDocumentException, client.put_resource_policy, SecretId=arn, ResourcePolicy="{")
    everybody = policy("*")
    refused(refusals.PublicPolicyException, client.put_resource_policy, SecretId=arn, ResourcePolicy=everybody,
            BlockPublicPolicy=True)
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=arn)
    judged = client.validate_resource_policy(SecretId=arn, ResourcePolicy=everybody)
    assert not judged["PolicyValidationPassed"] and judged["ValidationErrors"], judged
    judged = client.validate_resource_policy(ResourcePolicy=policy({"AWS": "000000000000"}))
    assert judged["PolicyValidationPassed"] and not judged["ValidationErrors"], judged
    client.put_resource_policy(SecretId=arn, ResourcePolicy=everybody)
    assert client.list_resource_policies(SecretId=arn)["ResourcePolicies"] == [{"PolicyName": "default"}]


@rule()
def a_secret_has_copies_in_other_regions():
    name, west = named("copies"), client_in("eu-west-1")
    made = client.create_secret(Name=name, SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1"}])
    arn, there = made["ARN"], made["ARN"].replace("us-east-1", "eu-west-1")
    status = made["ReplicationStatus"][0]
    assert (status["Region"], status["Status"], status["KmsKeyId"]) == (
        "eu-west-1", "InSync", "alias/aws/secretsmanager"), made
    refused(refusals.InvalidParameterException, client.replicate_secret_to_regions, SecretId=arn,
            AddReplicaRegions=[{"Region": "us-east-1"}])
    more = client.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=[{"Region": "eu-west-3"}])
    assert [one["Region"] for one in more["ReplicationStatus"]] == ["eu-west-1", "eu-west-3"], more
    found = client.list_secrets(Filters=[{"Key": "primary-region", "Values": ["us-east-1"]},
                                         {"Key": "name", "Values": [name]}])
    assert [one["ARN"] for one in found["SecretList"]] == [arn], found
    copy = west.describe_secret(SecretId=name)
    assert (copy["ARN"], copy["PrimaryRegion"]) == (there, "us-east-1"), copy
    for secret in (name, there):
        assert west.get_secret_value(SecretId=secret)["SecretString"] == "one"
    for operation in (west.put_secret_value, west.update_secret):
        text = refused(refusals.InvalidParameterException, operation, SecretId=name, SecretString="x")
        assert text == "Operation not permitted on a replica secret. Call must be made in primary secret's region."
    text = refused(refusals.InvalidParameterException, client.delete_secret, SecretId=arn)
    assert f"You can't delete secret {arn} that still has replica regions [eu-west-1" in text, text
    left = client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=["eu-west-1"])
    assert [one["Region"] for one in left["ReplicationStatus"]] == ["eu-west-3"], left
    client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=["eu-west-3"])
    assert not client.describe_secret(SecretId=arn).get("ReplicationStatus")
    client.delete_secret(SecretId=arn)


@rule("moto does not have StopReplicationToReplica")
def a_copy_that_is_let_go_is_a_secret_of_its_own():
    name, west = named("let-go"), client_in("eu-west-1")
    arn = client.create_secret(Name=name, SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1"}])["ARN"]
    there = arn.replace("us-east-1", "eu-west-1")
    refused(refusals.InvalidParameterException, client.stop_replication_to_replica, SecretId=arn)
    assert west.stop_replication_to_replica(SecretId=there)["ARN"] == there
    west.put_secret_value(SecretId=name, SecretString="own")
    assert west.get_secret_value(SecretId=name)["SecretString"] == "own"
    assert client.get_secret_value(SecretId=name)["SecretString"] == "one"
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    assert west.get_secret_value(SecretId=name)["SecretString"] == "own"


@rule()
def filters_find_beginnings_and_words():
    start = named("")
    for name, description, value in (("one", "Orders of the shop", "Blue"), ("Two", "PaymentService", "blue")):
        client.create_secret(Name=start + name, Description=description,
                             Tags=[{"Key": f"team-{value}", "Value": value}])
    for key, value, found in (
        ("name", start + "T", ["Two"]), ("name", start + "t", []), ("description", "service", ["Two"]),
        ("description", "Order shop", ["one"]), ("description", "hop", []), ("tag-key", "team-b", ["Two"]),
        ("tag-key", "team", ["one", "Two"]), ("tag-value", "Bl", ["one"]), ("tag-value", "!Bl", ["Two"]),
        ("all", "BLUE", ["one", "Two"]), ("primary-region", "us-east-1", []), ("owning-service", "rds", []),
    ):
        filters = [{"Key": "name", "Values": [start]}, {"Key": key, "Values": [value]}]
        listed = client.list_secrets(Filters=filters)["SecretList"]
        assert [one["Name"].removeprefix(start) for one in listed] == found, (key, value, listed)


@rule()
def the_service_that_made_a_secret_is_told():
    name = named("owned")
    client.create_secret(Name=name, Tags=[{"Key": "aws:secretsmanager:owningService", "Value": "rds"}])
    filters = [{"Key": "name", "Values": [name]}, {"Key": "owning-service", "Values": ["rds"]}]
    assert [one["OwningService"] for one in client.list_secrets(Filters=filters)["SecretList"]] == ["rds"]
    assert client.describe_secret(SecretId=name)["OwningService"] == "rds"


@rule("moto lists as secrets were made, whatever is asked for")
def a_list_comes_in_the_order_that_is_asked_for():
    start = named("")
    for name in "bca":
        client.create_secret(Name=start + name)
    for order, found in (({}, "bca"), ({"SortOrder": "desc"}, "acb"), ({"SortOrder": "asc"}, "bca")):
        listed = client.list_secrets(Filters=[{"Key": "name", "Values": [start]}], **order)["SecretList"]
        assert "".join(one["Name"][-1] for one in listed) == found, (order, listed)


@rule()
def several_values_come_by_filters_in_pages():
    start = named("")
    for name in "abc":
        client.create_secret(Name=start + name, SecretString=name)
    filters, read, more = [{"Key": "name", "Values": [start]}], [], {}
    while True:
        page = client.batch_get_secret_value(Filters=filters, MaxResults=2, **more)
        read += [one["SecretString"] for one in page["SecretValues"]]
        if not page.get("NextToken"):
            break
        more = {"NextToken": page["NextToken"]}
    assert read == ["a", "b", "c"], read
    refused(refusals.InvalidParameterException, client.batch_get_secret_value, Filters=filters, SecretIdList=["a"])
    text = refused(refusals.InvalidParameterException, client.batch_get_secret_value, SecretIdList=["a"],
                   MaxResults=2)
    assert text == "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.", text
    client.delete_secret(SecretId=start + "b")
    batch = client.batch_get_secret_value(SecretIdList=[start + "a", start + "b", start + "none"])
    assert [one["SecretString"] for one in batch["SecretValues"]] == ["a"], batch
    assert [one["ErrorCode"] for one in batch["Errors"]] == [
        "InvalidRequestException", "ResourceNotFoundException"], batch


@rule()
def a_password_has_what_is_asked_for():
    no_type = {f"Exclude{kind}": True for kind in ("Lowercase", "Uppercase", "Numbers", "Punctuation")}
    draw = lambda **asked: client.get_random_password(**asked)["RandomPassword"]
    assert len(draw()) == 32 and len(draw(PasswordLength=4096)) == 4096
    for _ in range(20):
        drawn = draw(PasswordLength=4, ExcludeCharacters="abcXYZ")
        assert [sum(map(kind, drawn)) for kind in (str.islower, str.isupper, str.isdigit)] == [1, 1, 1], drawn
        assert not set(drawn) & set("abcXYZ "), drawn
    left = {"ExcludeLowercase": False, "ExcludeNumbers": False}
    assert draw(**{**no_type, **left}, PasswordLength=50).isalnum()
    assert draw(**no_type, IncludeSpace=True, RequireEachIncludedType=False, PasswordLength=5) == " " * 5
    refused(refusals.InvalidParameterException, client.get_random_password, PasswordLength=3)


@rule("moto takes a function that it does not find for an error, and tells no such dates")
def dates_follow_the_schedule_and_the_readers():
    day, midnight = datetime.timedelta(days=1), datetime.time(tzinfo=datetime.timezone.utc)
    name = named("dates")
    made = client.create_secret(Name=name, SecretString="one")
    for field in ("LastAccessedDate", "NextRotationDate", "LastRotatedDate", "DeletedDate"):
        assert field not in client.describe_secret(SecretId=name), field
    client.get_secret_value(SecretId=name)
    client.rotate_secret(SecretId=made["ARN"], RotationLambdaARN=FUNCTION, RotateImmediately=True,
                         RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "2h"})
    described = client.describe_secret(SecretId=name)
    opens = datetime.datetime.combine(described["CreatedDate"].astimezone(datetime.timezone.utc), midnight) + 10 * day
    assert described["NextRotationDate"] == opens + datetime.timedelta(hours=2, seconds=-1), described
    read = described["LastAccessedDate"].astimezone(datetime.timezone.utc)
    assert read.timetz() == midnight, described
    client.cancel_rotate_secret(SecretId=name)
    assert "NextRotationDate" not in client.describe_secret(SecretId=name)


@rule()
def a_key_is_told_unless_it_is_the_usual_one():
    name = named("key")
    client.create_secret(Name=name, KmsKeyId="alias/aws/secretsmanager", Description="one")
    described = client.describe_secret(SecretId=name)
    assert "KmsKeyId" not in described and described["Description"] == "one", described
    client.update_secret(SecretId=name, KmsKeyId="alias/app", Description="two")
    described = client.describe_secret(SecretId=name)
    assert (described["KmsKeyId"], described["Description"]) == ("alias/app", "two"), described


@rule()
def a_secret_that_waits_for_its_deletion_is_listed_where_it_is_asked_for():
    name = named("planned")
    client.create_secret(Name=name, SecretString="one")
    due = client.delete_secret(SecretId=name, RecoveryWindowInDays=7)["DeletionDate"]
    told = client.describe_secret(SecretId=name)["DeletedDate"]
    assert abs(told - due) < datetime.timedelta(seconds=1), (told, due)
    filters = [{"Key": "name", "Values": [name]}]
    assert client.list_secrets(Filters=filters)["SecretList"] == []
    planned = client.list_secrets(Filters=filters, IncludePlannedDeletion=True)["SecretList"]
    assert [one["Name"] for one in planned] == [name]
    refused(refusals.InvalidRequestException, client.get_secret_value, SecretId=name)
    client.restore_secret(SecretId=name)
    assert client.get_secret_value(SecretId=name)["SecretString"] == "one"
    # Once it is gone, deleting it again is no error.
    for _ in range(2):
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@rule("moto lets the policy, the tags and the copies of a deleted secret be changed")
def what_a_deleted_secret_forbids_stays_forbidden():
    name = named("deleted")
    client.create_secret(Name=name, SecretString="one")
    client.delete_secret(SecretId=name)
    for operation, more in (
        (client.put_secret_value, {"SecretString": "two"}),
        (client.update_secret, {"Description": "two"}),
        (client.rotate_secret, {"RotationLambdaARN": FUNCTION}),
        (client.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (client.put_resource_policy, {"ResourcePolicy": policy({"AWS": "000000000000"})}),
        (client.replicate_secret_to_regions, {"AddReplicaRegions": [{"Region": "eu-west-1"}]}),
        (client.delete_secret, {}),
    ):
        refused(refusals.InvalidRequestException, operation, SecretId=name, **more)
    refused(refusals.InvalidRequestException, client.create_secret, Name=name)


for body, reason in RULES:
    try:
        body()
    except (AssertionError, ClientError) as error:
        if WHICH == "moto" and reason:
            continue
        raise AssertionError(f"{body.__name__} does not hold: {error}") from error
    assert WHICH != "moto" or not reason, f"{body.__name__} holds at moto now, though: {reason}"
print("as AWS")
