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
  const kinds = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'];
  const policies = kinds.flatMap((kind) => Object.entries(template.findResources(kind)));
  const own = policies.filter(([id]) => id.startsWith('Rotator')).map(([, policy]) => policy.Properties);
  const roles = Object.entries(template.findResources('AWS::IAM::Role')).filter(([id]) => id.startsWith('RotatorRole'));
  const inline = roles.flatMap(([, role]) => role.Properties.Policies ?? []);
  assert.deepEqual(roles.flatMap(([, role]) => role.Properties.ManagedPolicyArns ?? []), []);
  return [...own, ...inline].flatMap((policy) => policy.PolicyDocument.Statement);
}

/** A policy of the module of Terraform, with what its template is given. */
function terraform(name: string, lists: { [name: string]: string | string[] } = {}): any[] {
  let text = readFileSync(join(repository, `deploy/terraform/policies/${name}.json`), 'utf8');
  for (const [list, values] of Object.entries(lists)) {
    text = text.replace(`\${jsonencode(${list})}`, JSON.stringify(values));
  }
  return JSON.parse(text).Statement;
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
  const all = statements(rotated());
  for (const service of ['secretsmanager', 'logs']) {
    assert.deepEqual(actions(all, service), actions(terraform('rotate'), service), service);
  }
  for (const statement of all.filter((one) => actions([one], 'ec2').length === 0)) {
    assert.ok(!JSON.stringify(statement.Resource).includes('"*"'), JSON.stringify(statement));
  }
  const secrets = all.filter((one) => actions([one], 'secretsmanager').length > 0);
  assert.deepEqual(secrets.map((one) => Object.keys(one.Resource)), [['Ref']]);
});

test('a function in a VPC has what Lambda needs for it, and no log group beside its own', () => {
  const ours = statements(rotated()).filter((one) => actions([one], 'ec2').length > 0);
  const theirs = terraform('vpc');
  const plain = (all: any[]) => all.map((one) => [one.Effect, [...one.Action].sort(), Object.keys(one.Condition?.ArnLike ?? {})]);
  assert.deepEqual(plain(ours).sort(), plain(theirs).sort());
  const denied = ours.find((one) => one.Effect === 'Deny');
  assert.match(JSON.stringify(denied.Condition), /"lambda:SourceFunctionArn":\{"Fn::GetAtt":\["RotatorFunction/);
  // Lambda makes the interfaces with the function: what allows it must be there before.
  const [role] = Object.entries(rotated().findResources('AWS::IAM::Role')).filter(([id]) => id.startsWith('RotatorRole'));
  assert.deepEqual(plain(role![1].Properties.Policies[0].PolicyDocument.Statement), plain(theirs).filter(([effect]) => effect === 'Allow'));
  assert.deepEqual(actions(statements(rotated({}, {}, false)), 'ec2'), []);
});

for (const [target, name, questions] of [['postgres', 'admin', 3], ['api', 'api-admin', 0]] as const) {
  test(`an admin of ${target} is read, and nothing of it is written`, () => {
    const { stack, vpc, secret } = database();
    const admin = new secretsmanager.Secret(stack, 'Admin');
    const rotator = new FourstepRotator(stack, 'Rotator', { target, archive, vpc });
    rotator.rotate(secret, { admin });
    const all = statements(Template.fromStack(stack));
    const of = all.filter((one) => JSON.stringify(one.Resource).includes('Admin'));
    assert.deepEqual(actions(of, 'secretsmanager'), actions(terraform(name, { secrets: [] }), 'secretsmanager'));
    assert.equal(actions(all, 'rds').length, questions);
    assert.deepEqual(actions(all, 'redshift-serverless'), actions(terraform(name, { secrets: [] }), 'redshift-serverless'));
  });
}

/** Secrets that other stacks made, by the names by which people import them, and their ARNs in a policy. */
const ARN = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:shop/db';
const KEY = 'arn:aws:kms:us-east-1:111122223333:key/one';
const imported: [string, (stack: Stack) => secretsmanager.ISecret, string][] = [
  ['name', (stack) => secretsmanager.Secret.fromSecretNameV2(stack, 'Theirs', 'shop/db'), `${ARN}-??????`],
  ['partial ARN', (stack) => secretsmanager.Secret.fromSecretPartialArn(stack, 'Theirs', ARN), `${ARN}-??????`],
  ['whole ARN', (stack) => secretsmanager.Secret.fromSecretCompleteArn(stack, 'Theirs', `${ARN}-AbCdEf`), `${ARN}-AbCdEf`],
];
for (const [by, make, expected] of imported) {
  test(`a secret that is imported by its ${by} is named so that IAM finds it`, () => {
    const stack = new Stack(new App(), 'Shop', { env: { account: '111122223333', region: 'us-east-1' } });
    const secret = make(stack);
    const proxySecrets = { app: secret, app_clone: new secretsmanager.Secret(stack, 'Clone') };
    const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, proxySecrets });
    rotator.rotate(secret, { admin: secret });
    const all = statements(Template.fromStack(stack)).filter((one) => actions([one], 'secretsmanager').length > 0);
    const named = all.map((one) => JSON.stringify(one.Resource)).filter((resource) => !resource.includes('Clone'));
    assert.equal(named.length, 3);
    for (const resource of named) {
      assert.ok(resource.includes(expected.slice('arn:aws'.length)), resource);
      assert.ok(!resource.includes('shop/db"'), resource);
    }
  });
}

/** A rotator of so many secrets that nobody else made, each with a name of this length and a key of its own. */
function many(count: number, length: number): Template {
  const stack = new Stack(new App(), 'Shop', { env: { account: '111122223333', region: 'us-east-1' } });
  const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, vpc: new ec2.Vpc(stack, 'Vpc') });
  const admin = new secretsmanager.Secret(stack, 'Admin');
  for (let number = 0; number < count; number += 1) {
    rotator.rotate(secretsmanager.Secret.fromSecretAttributes(stack, `Secret${number}`, {
      secretCompleteArn: `${ARN}${String(number).padStart(length, '0')}-AbCdEf`,
      encryptionKey: kms.Key.fromKeyArn(stack, `Key${number}`, `${KEY}-${number}-${'0'.repeat(30)}`),
    }), { admin });
  }
  return Template.fromStack(stack);
}

/** The characters of a policy as IAM counts them, with what is known once it is deployed. */
const size = (document: any): number =>
  JSON.stringify(document, (_, value) => (value?.Ref || value?.['Fn::GetAtt'] || value?.['Fn::Join'] ? 'x'.repeat(110) : value)).length;

for (const [count, length] of [[28, 1], [100, 20], [20, 400]] as const) {
  test(`${count} secrets with names of ${length} fit into what IAM lets a role have`, () => {
    const template = many(count, length);
    const policies = Object.values(template.findResources('AWS::IAM::ManagedPolicy'));
    assert.ok(policies.length <= 9, `${policies.length}`);
    for (const { Properties } of policies) {
      assert.ok(size(Properties.PolicyDocument) <= 6144, `${size(Properties.PolicyDocument)}`);
    }
    const roles = Object.values(template.findResources('AWS::IAM::Role')).flatMap((role) => role.Properties.Policies ?? []);
    const inline = Object.values(template.findResources('AWS::IAM::Policy')).map((policy) => policy.Properties);
    const all = [...roles, ...inline].reduce((sum, policy) => sum + size(policy.PolicyDocument), 0);
    assert.ok(all <= 10240, `${all}`);
    // Each of them, and its key, is named once, and its schedule waits for the policy that names it.
    const schedules = Object.values(template.findResources('AWS::SecretsManager::RotationSchedule'));
    assert.equal(schedules.length, count);
    for (const { Properties, DependsOn } of schedules) {
      const waits = DependsOn.filter((id: string) => id.startsWith('RotatorSecrets'));
      assert.equal(waits.length, 1);
      const { Properties: policy } = template.findResources('AWS::IAM::ManagedPolicy')[waits[0]]!;
      const named = JSON.stringify(policy.PolicyDocument.Statement.filter((one: any) => one.Action.length === 5));
      assert.equal(named.split(JSON.stringify(Properties.SecretId)).length, 2);
    }
    const keys = statements(template).filter((one) => actions([one], 'kms').length > 0).flatMap((one) => one.Resource);
    assert.equal(new Set(keys).size, count);
  });
}

test('more secrets than a role has room for are refused when they are named', () => {
  assert.throws(() => many(400, 100), /another FourstepRotator/);
});

test('a key that is imported is used by the role: nothing can be added to its policy', () => {
  const stack = new Stack(new App(), 'Shop');
  const key = (id: string) => kms.Key.fromKeyArn(stack, id, `${KEY}-${id}`);
  const secret = (id: string) => secretsmanager.Secret.fromSecretAttributes(stack, id, {
    secretCompleteArn: `${ARN}-${id}`, encryptionKey: key(`${id}Key`),
  });
  const proxySecrets = { app: secret('AbCdE1'), app_clone: secret('AbCdE2') };
  const rotator = new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, proxySecrets });
  rotator.rotate(secret('AbCdE3'), { admin: secret('AbCdE4') });
  const all = statements(Template.fromStack(stack)).filter((one) => actions([one], 'kms').length > 0);
  const keys = all.flatMap((one) => one.Resource).sort();
  assert.deepEqual(keys, [1, 2, 3, 4].map((number) => `${KEY}-AbCdE${number}Key`));
  for (const one of all) {
    assert.deepEqual(one.Action, terraform('kms', { keys: [] })[0].Action);
    assert.match(JSON.stringify(one.Condition.StringEquals['kms:ViaService']), /secretsmanager\./);
  }
});

test('the secrets of a proxy are kept, and named to the function', () => {
  const { stack, vpc } = database();
  const [app, clone] = ['ProxyApp', 'ProxyClone'].map((id) => new secretsmanager.Secret(stack, id));
  const proxySecrets = { app: app!, app_clone: clone! };
  new FourstepRotator(stack, 'Rotator', { target: 'postgres', archive, vpc, strategy: 'alternating-users', proxySecrets });
  const template = Template.fromStack(stack);
  const expected = actions(terraform('proxy-secrets', { secrets: [] }), 'secretsmanager');
  const ours = statements(template).filter((one) => actions([one], 'secretsmanager').length > 0);
  // Nothing more: the statement is one for both, or one for each.
  assert.deepEqual([...new Set(actions(ours, 'secretsmanager'))], expected);
  for (const id of ['ProxyApp', 'ProxyClone']) {
    const of = ours.filter((one) => JSON.stringify(one.Resource).includes(id));
    assert.deepEqual(actions(of, 'secretsmanager'), expected, id);
  }
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));
  assert.match(JSON.stringify(functions[0]!.Properties.Environment), /app=.*app_clone=/);
  // No proxy stands in front of these, and what is listed would be refused at every rotation.
  for (const target of ['mongodb', 'sqlserver', 'redis', 'iam', 'api'] as const) {
    assert.throws(() => new FourstepRotator(stack, target, { target, archive, proxySecrets }), /no proxy stands in front/);
  }
});

test('the secrets of another account come with its role and its Secrets Manager', () => {
  const role = 'arn:aws:iam::444455556666:role/rotation';
  const { stack, secret } = database();
  const rotator = new FourstepRotator(stack, 'Rotator', {
    target: 'postgres', archive, secretsRoleArn: role, secretsRoleExternalId: 'shop',
  });
  assert.throws(() => rotator.rotate(secret), /of another account/);
  const template = Template.fromStack(stack);
  const assumed = statements(template).filter((one) => actions([one], 'sts').length > 0);
  const plain = { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: role };
  assert.deepEqual(assumed, [plain]);
  assert.deepEqual(terraform('secrets-role', { role }), [plain]);
  template.hasResourceProperties('AWS::Lambda::Permission', { SourceAccount: '444455556666' });
  template.hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: { SECRETS_ROLE_ARN: role, SECRETS_ROLE_EXTERNAL_ID: 'shop' } },
  });
  const environment = { SECRETS_ROLE_ARN: role };
  assert.throws(() => new FourstepRotator(stack, 'Other', { target: 'postgres', archive, environment }), /give secretsRoleArn/);
  const alone = { target: 'postgres', archive, secretsRoleExternalId: 'shop' } as const;
  assert.throws(() => new FourstepRotator(stack, 'Alone', alone), /needs secretsRoleArn/);
});

test('managed users are changed by their ARNs, in the time that a change takes', () => {
  const user = 'arn:aws:elasticache:us-east-1:111122223333:user:app';
  const policy = terraform('managed-users', { users: [user] });
  const template = rotated({ target: 'redis', managedUsers: [user] });
  const ours = statements(template).filter((one) => one.Resource === user);
  for (const service of ['elasticache', 'memorydb']) {
    assert.deepEqual(actions(ours, service), actions(policy, service));
  }
  template.hasResourceProperties('AWS::Lambda::Function', { Timeout: 900 });
  template.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 675000 });
});

test('the access keys of IAM users are made and deleted by their ARNs', () => {
  const user = 'arn:aws:iam::111122223333:user/app';
  const template = rotated({ target: 'iam', iamUsers: [user] });
  const ours = statements(template).filter((one) => one.Resource === user);
  assert.deepEqual(actions(ours, 'iam'), actions(terraform('iam-users', { users: [user] }), 'iam'));
  assert.throws(() => rotated({ target: 'iam', iamUsers: ['arn:aws:iam::111122223333:user/*'] }), /wildcard/);
});

test('a key is used through Secrets Manager only', () => {
  const key = statements(rotated()).filter((one) => actions([one], 'kms').length > 0);
  assert.equal(key.length, 1);
  assert.deepEqual(key[0].Action, terraform('kms', { keys: [] })[0].Action);
  assert.deepEqual(Object.keys(key[0].Condition.StringEquals), ['kms:ViaService']);
  assert.match(JSON.stringify(key[0].Resource), /^\{"Fn::GetAtt":\["Key/);
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
  const template = Template.fromStack(stack);
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
  assert.deepEqual(alarms.map((alarm) => alarm.Properties.MetricName).sort(), ['Duration', 'Errors']);
  for (const { Properties } of alarms) {
    assert.equal(Properties.AlarmActions.length, 1);
    assert.ok([1, 45000].includes(Properties.Threshold));
  }
  rotated().resourceCountIs('AWS::Events::Rule', 0);
});

test('the topic is told what Secrets Manager itself reports, once, in the words of the module of Terraform', () => {
  const { stack } = database();
  const alarmTopic = new sns.Topic(stack, 'Topic');
  for (const id of ['Rotator', 'Another']) {
    new FourstepRotator(stack, id, { target: 'postgres', archive, alarmTopic });
  }
  const template = Template.fromStack(stack);
  const rules = Object.entries(template.findResources('AWS::Events::Rule'));
  assert.equal(rules.length, 1, 'a rule sees every secret of the account');
  const [id, rule] = rules[0]!;
  const pattern = rule.Properties.EventPattern;
  const alarms = readFileSync(join(repository, 'deploy/terraform/alarms.tf'), 'utf8');
  const [, names] = /eventName +=(.*)/.exec(alarms)!;
  assert.deepEqual(pattern.detail.eventName, JSON.parse(names!));
  assert.ok(alarms.includes(JSON.stringify(pattern['detail-type'])) && alarms.includes(JSON.stringify(pattern.source)));
  assert.deepEqual(rule.Properties.Targets.map((target: any) => target.Arn), [{ Ref: Object.keys(template.findResources('AWS::SNS::Topic'))[0] }]);
  // CloudWatch too: the policy takes the place of the default one.
  const [policy] = Object.values(template.findResources('AWS::SNS::TopicPolicy'));
  const told = policy!.Properties.PolicyDocument.Statement.map((one: any) => [one.Principal.Service, one.Condition]);
  assert.deepEqual(told, [
    ['events.amazonaws.com', { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': [id, 'Arn'] } } }],
    ['cloudwatch.amazonaws.com', { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } }],
  ]);
});

test('a schedule tests first, and waits for what a rotation needs', () => {
  const [schedule] = Object.values(rotated().findResources('AWS::SecretsManager::RotationSchedule'));
  assert.equal(schedule!.Properties.RotateImmediatelyOnUpdate, false);
  assert.deepEqual(schedule!.Properties.RotationRules, { Duration: '3h', ScheduleExpression: 'cron(0 3 ? * SUN *)' });
  const waits: string[] = schedule!.DependsOn;
  for (const part of ['RotatorFunctionSecretsManager', 'RotatorSecrets1', 'DatabaseSecurityGroupfrom']) {
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
