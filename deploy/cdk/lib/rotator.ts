import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { Grants } from './grants';
import { arnOf, network, tellOfRotations, useOfKey } from './statements';

/** What a function rotates. */
export type Target = 'postgres' | 'mysql' | 'mongodb' | 'sqlserver' | 'redis' | 'iam' | 'api';

/** What makes a {@link FourstepRotator}. */
export interface FourstepRotatorProps {
  /** What it rotates. */
  readonly target: Target;
  /** The archive of a release: a path, or where it is in S3 (`lambda.Code.fromBucket`). */
  readonly archive: string | lambda.Code;
  /** The processor that the archive is for. @default ARM_64 */
  readonly architecture?: lambda.Architecture;
  /** ROTATION_STRATEGY, as docs/settings.md has it. @default the rotator's own */
  readonly strategy?: string;
  /** More of the variables of docs/settings.md. No secret belongs there. */
  readonly environment?: { [name: string]: string };
  /**
   * The role of another account whose secrets are rotated (docs/accounts.md): SECRETS_ROLE_ARN. Their schedules are made in
   * that account; `rotate` is for secrets of this one. @default none
   */
  readonly secretsRoleArn?: string;
  /** The external id that this role's trust policy asks for. @default none */
  readonly secretsRoleExternalId?: string;
  /**
   * The secrets by which RDS Proxy knows both users of each pair: for `alternating-users` of `postgres` and `mysql`.
   * @default none
   */
  readonly proxySecrets?: { [user: string]: secretsmanager.ISecret };
  /**
   * ARNs of users of ElastiCache and MemoryDB whose passwords its role may change: for `redis`. Which secret has which is
   * said by MANAGED_USERS in `environment`. @default none
   */
  readonly managedUsers?: string[];
  /** ARNs of IAM users whose access keys its role may make and delete: for `iam`. @default none */
  readonly iamUsers?: string[];
  /** The VPC to run in. @default none */
  readonly vpc?: ec2.IVpc;
  /** Which of its subnets. @default private ones */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** The groups to run in. @default one is made */
  readonly securityGroups?: ec2.ISecurityGroup[];
  /** The function's name. @default CloudFormation's */
  readonly functionName?: string;
  /** How long logs are kept. @default three months */
  readonly logRetention?: logs.RetentionDays;
  /** A key for the log; its policy must let CloudWatch Logs use it. */
  readonly logKey?: kms.IKey;
  /** A key for the variables. */
  readonly environmentKey?: kms.IKey;
  /** How many steps may run at a time. @default no reservation; too few throttle rotations */
  readonly reservedConcurrentExecutions?: number;
  /** What the archive must be signed by. */
  readonly codeSigningConfig?: lambda.ICodeSigningConfig;
  /** Layers, such as one with the file of TLS_CA_BUNDLE. */
  readonly layers?: lambda.ILayerVersion[];
  /**
   * Who is told of failed and slow steps, and of what Secrets Manager itself reports of any secret of the account in this
   * Region. The policy of a topic that is imported must let CloudWatch and EventBridge publish. One that this app makes and
   * that has no policy yet gets its first one, for these two: whoever else of the account publishes there needs a statement.
   * @default alarms without an action, and no rule
   */
  readonly alarmTopic?: sns.ITopic;
}

/** How one secret is rotated. */
export interface RotateOptions {
  /** When, in UTC. @default Sundays at three */
  readonly schedule?: string;
  /** How long after that a rotation may begin. @default three hours */
  readonly window?: Duration;
  /** The secret of the database's admin, which the rotated secret names as masterarn. */
  readonly admin?: secretsmanager.ISecret;
  /** The database, to let the function in by its default port. */
  readonly database?: ec2.IConnectable;
  /** Rotate when the schedule is deployed, rather than test only. @default false */
  readonly rotateImmediately?: boolean;
}

/** Three quarters of this is slow. A change of a managed user takes minutes. */
const TIMEOUT = Duration.seconds(60);
const MANAGED_TIMEOUT = Duration.seconds(900);

/** The function's variables. What needs permissions besides is refused in `environment`, which gives none. */
function variables(props: FourstepRotatorProps): { [name: string]: string } {
  if (props.environment?.SECRETS_ROLE_ARN) {
    throw new Error('SECRETS_ROLE_ARN alone cannot work: give secretsRoleArn, which brings the permissions too');
  }
  if (props.secretsRoleExternalId && !props.secretsRoleArn) {
    throw new Error('secretsRoleExternalId needs secretsRoleArn: without a role there is nobody to tell it to');
  }
  const made: { [name: string]: string } = {};
  const proxied = Object.entries(props.proxySecrets ?? {});
  if (proxied.length > 0 && props.target !== 'postgres' && props.target !== 'mysql') {
    throw new Error(`no proxy stands in front of ${props.target}: proxySecrets is for postgres and mysql`);
  }
  if (props.iamUsers?.some((arn) => /[*?]/.test(arn))) {
    throw new Error('an ARN of iamUsers has a wildcard: the function could make keys of an administrator');
  }
  if (props.strategy) {
    made.ROTATION_STRATEGY = props.strategy;
  }
  if (proxied.length > 0) {
    made.PROXY_SECRETS = proxied.map(([user, secret]) => `${user}=${secret.secretArn}`).join(',');
  }
  if (props.secretsRoleArn) {
    made.SECRETS_ROLE_ARN = props.secretsRoleArn;
  }
  if (props.secretsRoleExternalId) {
    made.SECRETS_ROLE_EXTERNAL_ID = props.secretsRoleExternalId;
  }
  return { ...made, ...props.environment };
}

/**
 * A rotation function: one for each kind of target, for any number of secrets. Its role reaches the
 * secrets that it is given to `rotate`, and no others.
 */
export class FourstepRotator extends Construct implements ec2.IConnectable, iam.IGrantable {
  /** The function. */
  public readonly function: lambda.Function;
  /** A step failed. */
  public readonly errors: cloudwatch.Alarm;
  /** A step took most of its time. */
  public readonly slow: cloudwatch.Alarm;
  private readonly props: FourstepRotatorProps;
  private readonly grants: Grants;

  constructor(scope: Construct, id: string, props: FourstepRotatorProps) {
    super(scope, id);
    this.props = props;
    const managed = props.managedUsers ?? [];
    const timeout = managed.length > 0 ? MANAGED_TIMEOUT : TIMEOUT;
    const proxied = Object.values(props.proxySecrets ?? {});
    this.function = new lambda.Function(this, 'Function', {
      functionName: props.functionName,
      description: `Fourstep: rotates secrets of ${props.target}`,
      code: typeof props.archive === 'string' ? lambda.Code.fromAsset(props.archive) : props.archive,
      handler: 'bootstrap',
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: props.architecture ?? lambda.Architecture.ARM_64,
      memorySize: 128,
      timeout,
      environment: variables(props),
      environmentEncryption: props.environmentKey,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups,
      reservedConcurrentExecutions: props.reservedConcurrentExecutions,
      codeSigningConfig: props.codeSigningConfig,
      layers: props.layers,
      loggingFormat: lambda.LoggingFormat.JSON,
      role: this.role(props),
      logGroup: new logs.LogGroup(this, 'Logs', {
        retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
        encryptionKey: props.logKey,
      }),
    });
    // The tags of a secret that RDS or Redshift manages say which database it is of; a vendor's admin has none.
    const described = props.target === 'api' ? [] : ['secretsmanager:DescribeSecret'];
    this.grants = new Grants(this, this.function.role!, ['secretsmanager:GetSecretValue', ...described]);
    this.function.addToRolePolicy(new iam.PolicyStatement({
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [this.function.logGroup.logGroupArn],
    }));
    if (props.vpc) {
      // Apart from the role, because it names the function.
      new iam.Policy(this, 'Network', {
        roles: [this.function.role!],
        statements: [network(iam.Effect.DENY, { ArnLike: { 'lambda:SourceFunctionArn': this.function.functionArn } })],
      });
    }
    for (const secret of proxied) {
      this.allow(
        [
          'secretsmanager:DescribeSecret',
          'secretsmanager:GetSecretValue',
          'secretsmanager:PutSecretValue',
          'secretsmanager:UpdateSecretVersionStage',
        ],
        [arnOf(secret)],
      );
      useOfKey(this, secret).forEach((statement) => this.function.addToRolePolicy(statement));
    }
    if (managed.length > 0) {
      this.allow(
        ['elasticache:DescribeUsers', 'elasticache:ModifyUser', 'memorydb:DescribeUsers', 'memorydb:UpdateUser'],
        managed,
      );
    }
    if (props.iamUsers?.length) {
      this.allow(['iam:CreateAccessKey', 'iam:DeleteAccessKey', 'iam:ListAccessKeys'], props.iamUsers);
    }
    if (props.secretsRoleArn) {
      this.allow(['sts:AssumeRole'], [props.secretsRoleArn]);
    }
    // No source ARN: that would tie the function to one secret. The account is the secrets'.
    this.function.addPermission('SecretsManager', {
      principal: new iam.ServicePrincipal('secretsmanager.amazonaws.com'),
      sourceAccount: props.secretsRoleArn
        ? Stack.of(this).splitArn(props.secretsRoleArn, ArnFormat.SLASH_RESOURCE_NAME).account!
        : Stack.of(this).account,
    });
    this.errors = this.alarm('Errors', 'A rotation step failed', 1, this.function.metricErrors());
    const slow = timeout.toMilliseconds() * 0.75;
    const duration = this.function.metricDuration({ statistic: cloudwatch.Stats.MAXIMUM });
    this.slow = this.alarm('Slow', `A rotation step took most of its ${timeout.toSeconds()} seconds`, slow, duration);
    if (props.alarmTopic) {
      this.errors.addAlarmAction(new SnsAction(props.alarmTopic));
      this.slow.addAlarmAction(new SnsAction(props.alarmTopic));
      tellOfRotations(props.alarmTopic);
    }
  }

  /** What databases let in. */
  public get connections(): ec2.Connections {
    return this.function.connections;
  }

  /** What keys and other accounts' roles are granted to. */
  public get grantPrincipal(): iam.IPrincipal {
    return this.function.grantPrincipal;
  }

  /** Rotates a secret: permissions, its key, the network and the schedule. */
  public rotate(secret: secretsmanager.ISecret, options: RotateOptions = {}): secretsmanager.CfnRotationSchedule {
    if (this.props.secretsRoleArn) {
      throw new Error('with secretsRoleArn the secrets are of another account: make their schedules there (docs/accounts.md)');
    }
    const name = secret.node.path.replace(/\//g, '-');
    // Apart from the function's own policy, so that the schedule can wait for it alone.
    const policy = this.grants.rotation(secret, options.admin);
    if (options.admin) {
      this.findAdmin();
    }
    if (options.database) {
      if (!this.props.vpc) {
        throw new Error('a rotator without a vpc cannot be let in by a database');
      }
      options.database.connections.allowDefaultPortFrom(this, 'The rotation function');
    }
    // As SecretRotation does: a secret that is rotated is not deleted in passing.
    secret.denyAccountRootDelete();
    const window = options.window ?? Duration.hours(3);
    const schedule = new secretsmanager.CfnRotationSchedule(this, `Schedule-${name}`, {
      secretId: secret.secretArn,
      rotationLambdaArn: this.function.functionArn,
      rotateImmediatelyOnUpdate: options.rotateImmediately ?? false,
      rotationRules: {
        scheduleExpression: options.schedule ?? 'cron(0 3 ? * SUN *)',
        duration: `${window.toHours()}h`,
      },
    });
    // Before these, no rotation could succeed, and a first one that fails blocks later changes.
    schedule.node.addDependency(policy, this.function);
    if (options.database) {
      schedule.node.addDependency(...options.database.connections.securityGroups);
    }
    return schedule;
  }

  /**
   * A role without AWS's managed policies for functions, which allow every log group. Lambda needs the network's actions
   * before it makes the function.
   */
  private role(props: FourstepRotatorProps): iam.Role {
    const policies = { network: new iam.PolicyDocument({ statements: [network(iam.Effect.ALLOW)] }) };
    return new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: props.vpc ? policies : undefined,
    });
  }

  /** Which database an admin's secret is of. */
  private findAdmin(): void {
    if (this.props.target !== 'api') {
      const questions = ['rds:DescribeBlueGreenDeployments', 'rds:DescribeDBClusters', 'rds:DescribeDBInstances'];
      this.allow(questions, ['cluster', 'db', 'deployment'].map((resource) =>
        Stack.of(this).formatArn({ service: 'rds', resource, resourceName: '*', arnFormat: ArnFormat.COLON_RESOURCE_NAME })));
      this.allow(['redshift-serverless:GetNamespace', 'redshift-serverless:GetWorkgroup'], ['namespace', 'workgroup'].map(
        (resource) => Stack.of(this).formatArn({ service: 'redshift-serverless', resource, resourceName: '*' })));
    }
  }

  private allow(actions: string[], resources: string[]): void {
    this.function.addToRolePolicy(new iam.PolicyStatement({ actions, resources }));
  }

  private alarm(id: string, says: string, threshold: number, metric: cloudwatch.Metric): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      alarmDescription: `${says} in ${this.node.path}`,
      metric: metric.with({ period: Duration.minutes(5) }),
      threshold,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}
