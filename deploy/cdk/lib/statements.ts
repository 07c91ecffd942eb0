import { Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { IConstruct } from 'constructs';

/** What Lambda does with network interfaces in the role's name; AWS offers no narrower resource for them. */
const NETWORK = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/**
 * Allows or denies what a VPC needs. Denied to the function's own code, so that whoever gets into it cannot use what the
 * role allows to Lambda.
 */
export function network(effect: iam.Effect, conditions?: { [operator: string]: any }): iam.PolicyStatement {
  return new iam.PolicyStatement({ effect, actions: NETWORK, resources: ['*'], conditions });
}

/** A secret as policies name it: of one that is imported by its name, nobody knows the six characters at the end. */
export const arnOf = (secret: secretsmanager.ISecret): string => secret.secretFullArn ?? `${secret.secretArn}-??????`;

/**
 * The use of a secret's key, through Secrets Manager only. For the role: to the policy of a key that is imported nothing
 * can be added.
 */
export function useOfKey(scope: IConstruct, secret: secretsmanager.ISecret): iam.PolicyStatement[] {
  return secret.encryptionKey === undefined ? [] : [useOfKeys(scope, [secret.encryptionKey.keyArn])];
}

/** The same of these keys. */
export function useOfKeys(scope: IConstruct, resources: string[]): iam.PolicyStatement {
  const { region, urlSuffix } = Stack.of(scope);
  return new iam.PolicyStatement({
    actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKey'],
    resources,
    conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${region}.${urlSuffix}` } },
  });
}

/** Secrets Manager's own word, which comes also where a function could not be started: once for each topic. */
export function tellOfRotations(topic: sns.ITopic): void {
  const id = 'FourstepRotationEnded';
  if (topic.node.tryFindChild(id)) {
    return;
  }
  const rule = new events.Rule(topic, id, {
    description: 'A rotation, or the test of one, failed or was abandoned',
    eventPattern: {
      source: ['aws.secretsmanager'],
      // Not "AWS API Call via CloudTrail": nobody called anything, the service itself reports.
      detailType: ['AWS Service Event via CloudTrail'],
      detail: {
        eventSource: ['secretsmanager.amazonaws.com'],
        eventName: ['RotationFailed', 'RotationAbandoned', 'TestRotationFailed'],
      },
    },
    targets: [{ bind: () => ({ arn: topic.topicArn }) }],
  });
  // A topic's policy takes the place of the default one, by which CloudWatch was let in: both are named.
  for (const [service, conditions] of [
    ['events', { ArnEquals: { 'aws:SourceArn': rule.ruleArn } }],
    ['cloudwatch', { StringEquals: { 'aws:SourceAccount': Stack.of(topic).account } }],
  ] as const) {
    topic.addToResourcePolicy(new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal(`${service}.amazonaws.com`)],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions,
    }));
  }
}
