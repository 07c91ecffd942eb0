// The construct, synthesized offline, beside what AWS's own `SecretRotation` makes.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { FourstepApplication, FourstepRotator, FourstepRotatorProps, RotateOptions } from '../lib';

const archive = join(mkdtempSync(join(tmpdir(), 'fourstep-')), 'rotate-postgres.zip');
writeFileSync(archive, 'not a zip, and nobody looks');

const repository = join(__dirname, '../../..');

/** A database with its secret, in a VPC. */
function database(scope = new Stack(new App(), 'Shop')) {
  const vpc = new ec2.Vpc(scope, 'Vpc');
  const key = new kms.Key(scope, 'Key');
  const secret = new secretsmanager.Secret(scope, 'Secret', { encryptionKey: key });
  const instance = new rds.DatabaseInstance(scope, 'Database', {
    engine: rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 }),
    vpc,
    credentials: rds.Credentials.fromSecret(secret),
    storageEncrypted: true,
  });
  return { stack: scope, vpc, key, secret, instance };
}

/** The template of a stack in which the secret is rotated by Fourstep. */
function rotated(props: Partial<FourstepRotatorProps> = {}, options: RotateOptions = {}, inVpc = true) {
  const { stack, vpc, secret, instance } = database();
  const network = inVpc ? { vpc } : {};
  const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, ...network, ...props });
  rotator.rotate(secret, { database: inVpc ? instance : undefined, ...options });
  return Template.fromStack(stack);
}

/** Every statement of the function's role. */
function statements(template: Template): any[] {
  const policies = Object.entries(template.findResources('AWS::IAM::Policy'));
  const own = policies.filter(([id]) => id.startsWith('Rotator'));
  return own.flatMap(([, policy]) => policy.Properties.PolicyDocument.Statement);
}

const actions = (all: any[], service: string): string[] =>
  all.flatMap((one) => one.Action).filter((action: string) => action.startsWith(`${service}:`)).sort();

for (const architecture of [lambda.Architecture.ARM_64, lambda.Architecture.X86_64]) {
  test(`the function is that of template.yaml, for ${architecture.name}`, () => {
    rotated({ architecture, strategy: 'single-user' }).hasResourceProperties('AWS::Lambda::Function', {
      Architectures: [architecture.name],
      Handler: 'bootstrap',
      Runtime: 'provided.al2023',
      MemorySize: 128,
      Timeout: 60,
      LoggingConfig: { LogFormat: 'JSON', LogGroup: Match.anyValue() },
      Environment: { Variables: { ROTATION_STRATEGY: 'single-user' } },
      VpcConfig: Match.objectLike({ SubnetIds: Match.anyValue() }),
    });
  });
}

test('the role may do what the module of Terraform allows, on this secret alone', () => {
  const policy = JSON.parse(readFileSync(join(repository, 'deploy/terraform/policies/rotate.json'), 'utf8'));
  const all = statements(rotated());
  for (const service of ['secretsmanager', 'logs']) {
    assert.deepEqual(actions(all, service), actions(policy.Statement, service), service);
  }
  for (const statement of all) {
    assert.ok(!JSON.stringify(statement.Resource).includes('"*"'), JSON.stringify(statement));
  }
  const secrets = all.filter((one) => actions([one], 'secretsmanager').length > 0);
  assert.deepEqual(secrets.map((one) => Object.keys(one.Resource)), [['Ref']]);
});

test('an admin is read, and nothing of it is written', () => {
  const { stack, vpc, secret } = database();
  const admin = new secretsmanager.Secret(stack, 'Admin');
  const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, vpc, strategy: 'alternating-users' });
  rotator.rotate(secret, { admin });
  const of = statements(Template.fromStack(stack)).filter((one) => JSON.stringify(one.Resource).includes('Admin'));
  assert.deepEqual([...new Set(actions(of, 'secretsmanager'))], ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue']);
});

test('the secrets of a proxy are kept, and named to the function', () => {
  const { stack, vpc } = database();
  const [app, clone] = ['ProxyApp', 'ProxyClone'].map((id) => new secretsmanager.Secret(stack, id));
  new FourstepRotator(stack, 'Rotator', {
    target: 'postgres', archive, vpc, strategy: 'alternating-users', proxySecrets: { app, app_clone: clone },
  });
  const template = Template.fromStack(stack);
  const policy = JSON.parse(readFileSync(join(repository, 'deploy/terraform/policies/proxy-secrets.json'), 'utf8')
    .replace('${jsonencode(secrets)}', '[]'));
  const allowed = actions(statements(template), 'secretsmanager');
  for (const action of actions(policy.Statement, 'secretsmanager')) {
    assert.ok(allowed.includes(action), action);
  }
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));
  assert.match(JSON.stringify(functions[0].Properties.Environment), /app=.*app_clone=/);
});

test('managed users are changed by their ARNs, in the time that a change takes', () => {
  const user = 'arn:aws:elasticache:us-east-1:111122223333:user:app';
  const policy = JSON.parse(readFileSync(join(repository, 'deploy/terraform/policies/managed-users.json'), 'utf8')
    .replace('${jsonencode(users)}', JSON.stringify([user])));
  const template = rotated({ target: 'redis', managedUsers: [user] });
  const ours = statements(template).filter((one) => one.Resource === user);
  for (const service of ['elasticache', 'memorydb']) {
    assert.deepEqual(actions(ours, service), actions(policy.Statement, service));
  }
  template.hasResourceProperties('AWS::Lambda::Function', { Timeout: 900 });
  template.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 675000 });
});

test('a key is used through Secrets Manager only', () => {
  const key = statements(rotated()).filter((one) => actions([one], 'kms').length > 0);
  assert.equal(key.length, 0, 'the grant stands in the policy of the key');
  rotated().hasResourceProperties('AWS::KMS::Key', {
    KeyPolicy: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Condition: { StringEquals: { 'kms:ViaService': Match.anyValue() } },
          Principal: { AWS: { 'Fn::GetAtt': [Match.stringLikeRegexp('^RotatorRole'), 'Arn'] } },
        }),
      ]),
    },
  });
});

test('Secrets Manager of this account may call it, for any secret', () => {
  const permissions = Object.values(rotated().findResources('AWS::Lambda::Permission'));
  assert.equal(permissions.length, 1);
  const { Principal, SourceAccount, SourceArn } = permissions[0].Properties;
  assert.deepEqual([Principal, SourceAccount, SourceArn], ['secretsmanager.amazonaws.com', { Ref: 'AWS::AccountId' }, undefined]);
});

test('alarms tell a topic, where there is one', () => {
  const { stack } = database();
  const alarmTopic = new sns.Topic(stack, 'Topic');
  new FourstepRotator(stack, 'Rotator', { target: 'api', archive, alarmTopic });
  const alarms = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
  assert.deepEqual(alarms.map((alarm) => alarm.Properties.MetricName).sort(), ['Duration', 'Errors']);
  for (const { Properties } of alarms) {
    assert.equal(Properties.AlarmActions.length, 1);
    assert.ok([1, 45000].includes(Properties.Threshold));
  }
});

test('a schedule tests first, and waits for what a rotation needs', () => {
  const [schedule] = Object.values(rotated().findResources('AWS::SecretsManager::RotationSchedule'));
  assert.equal(schedule!.Properties.RotateImmediatelyOnUpdate, false);
  assert.deepEqual(schedule!.Properties.RotationRules, { Duration: '3h', ScheduleExpression: 'cron(0 3 ? * SUN *)' });
  const waits: string[] = schedule!.DependsOn;
  for (const part of ['RotatorFunctionSecretsManager', 'RotatorRotateShopSecret', 'DatabaseSecurityGroupfrom']) {
    assert.ok(waits.some((id) => id.startsWith(part)), `${part}: ${waits}`);
  }
});

test('a database cannot let in what is in no VPC', () => {
  const { stack, secret, instance } = database();
  const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive });
  assert.throws(() => rotator.rotate(secret, { database: instance }), /without a vpc/);
});

/** A stack with AWS's `SecretRotation`. */
function hosted(application: secretsmanager.SecretRotationApplication) {
  const { stack, vpc, secret, instance } = database();
  new secretsmanager.SecretRotation(stack, 'Rotation', { application, secret, target: instance, vpc });
  return Template.fromStack(stack);
}

test('it makes what SecretRotation makes, with the function in the open', () => {
  const theirs = hosted(secretsmanager.SecretRotationApplication.POSTGRES_ROTATION_SINGLE_USER);
  const ours = rotated();
  const kinds = (template: Template) => Object.values(template.toJSON().Resources as { [id: string]: any })
    .map((resource) => resource.Type as string);
  const made = kinds(ours);
  for (const kind of kinds(theirs).filter((kind) => kind !== 'AWS::Serverless::Application')) {
    assert.ok(made.includes(kind), kind);
  }
  const ingress = (template: Template) => Object.values(template.findResources('AWS::EC2::SecurityGroupIngress'))
    .map(({ Properties: { IpProtocol, FromPort, ToPort, GroupId } }) => ({ IpProtocol, FromPort, ToPort, GroupId }));
  assert.deepEqual(ingress(ours), ingress(theirs));
});

test('SecretRotation itself takes Fourstep by its application, and nothing else changes', () => {
  const arn = 'arn:aws:serverlessrepo:us-east-1:111122223333:applications/fourstep-rotate-postgres';
  const theirs = hosted(secretsmanager.SecretRotationApplication.POSTGRES_ROTATION_SINGLE_USER).toJSON();
  const ours = hosted(new FourstepApplication(arn, '0.1.0')).toJSON();
  assert.ok(JSON.stringify(ours).includes(arn) && !JSON.stringify(theirs).includes(arn));
  delete theirs.Mappings;
  delete ours.Mappings;
  assert.deepEqual(ours, theirs);
});

test('the application of AWS\'s shape takes every parameter that SecretRotation passes', () => {
  const { stack, vpc, secret, instance } = database();
  new secretsmanager.SecretRotation(stack, 'Rotation', {
    application: secretsmanager.SecretRotationApplication.POSTGRES_ROTATION_MULTI_USER,
    secret,
    masterSecret: new secretsmanager.Secret(stack, 'Admin', { encryptionKey: new kms.Key(stack, 'AdminKey') }),
    excludeCharacters: '/@',
    target: instance,
    vpc,
  });
  const [application] = Object.values(Template.fromStack(stack).findResources('AWS::Serverless::Application'));
  const passed = Object.keys(application!.Properties.Parameters);
  assert.equal(passed.length, 8);
  const shape = readFileSync(join(repository, 'deploy/aws-shape.yaml'), 'utf8');
  const declared = shape.split('\nParameters:\n')[1]!.split('\nConditions:')[0]!;
  for (const name of passed) {
    assert.ok(declared.includes(`\n  ${name}:\n`) || declared.startsWith(`  ${name}:\n`), name);
  }
});
