import { Names, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { arnOf, useOfKeys } from './statements';

/**
 * The most characters of a managed policy, spaces not counted, and how many of these a role may have. A role's inline policies
 * have 10,240 together, which a statement for each secret uses up at about 28 of them. Source: IAM User Guide, "IAM and AWS
 * STS quotas".
 */
const LONGEST = 6144;
const MOST = 10;

/** What the statements have beside what they name, and more. */
const FRAME = 1000;

/** What a rotation does with its secret. */
const ROTATE = [
  'secretsmanager:DescribeSecret',
  'secretsmanager:GetSecretValue',
  'secretsmanager:ListSecretVersionIds',
  'secretsmanager:PutSecretValue',
  'secretsmanager:UpdateSecretVersionStage',
];

/** One policy that fills up. */
interface Part {
  readonly policy: iam.ManagedPolicy;
  readonly statements: Map<string, iam.PolicyStatement>;
  readonly named: Set<string>;
  length: number;
}

/** What the function's role may do with the secrets that are rotated: by their ARNs, in as few policies as hold them. */
export class Grants {
  private readonly parts: Part[] = [];

  /** `read` is what it may do with an admin's secret. */
  constructor(private readonly scope: Construct, private readonly role: iam.IRole, private readonly read: string[]) {}

  /** Allows a rotation of this secret; the policy that does. */
  public rotation(secret: secretsmanager.ISecret, admin?: secretsmanager.ISecret): iam.ManagedPolicy {
    const wanted: [string, string, number][] = [];
    for (const [kind, one] of [['rotate', secret], ['read', admin]] as const) {
      if (one !== undefined) {
        wanted.push([kind, arnOf(one), length(arnOf(one), one)]);
      }
      if (one?.encryptionKey !== undefined) {
        wanted.push(['key', one.encryptionKey.keyArn, length(one.encryptionKey.keyArn)]);
      }
    }
    const fresh = (part: Part) => wanted.filter(([kind, arn]) => !part.named.has(`${kind} ${arn}`));
    const more = (part: Part) => fresh(part).reduce((all, [, , length]) => all + length, part.length);
    const last = this.parts.at(-1);
    const part = last !== undefined && more(last) <= LONGEST ? last : this.another();
    for (const [kind, arn] of fresh(part)) {
      this.statement(part, kind, arn);
    }
    part.length = more(part);
    fresh(part).forEach(([kind, arn]) => part.named.add(`${kind} ${arn}`));
    return part.policy;
  }

  private another(): Part {
    // One is left to whoever gives the role another policy.
    if (this.parts.length === MOST - 1) {
      throw new Error('IAM has no room for more secrets in one role: make another FourstepRotator for these');
    }
    const policy = new iam.ManagedPolicy(this.scope, `Secrets${this.parts.length + 1}`, { roles: [this.role] });
    const part = { policy, statements: new Map(), named: new Set<string>(), length: FRAME };
    this.parts.push(part);
    return part;
  }

  private statement(part: Part, kind: string, arn: string): void {
    const known = part.statements.get(kind);
    if (known !== undefined) {
      known.addResources(arn);
      return;
    }
    const actions = kind === 'rotate' ? ROTATE : this.read;
    const made = kind === 'key' ? useOfKeys(this.scope, [arn]) : new iam.PolicyStatement({ actions, resources: [arn] });
    part.statements.set(kind, made);
    part.policy.addStatements(made);
  }
}

/** How long an ARN is in a policy, with its quotes and comma; of what nobody knows before it is made, how long it may be. */
function length(arn: string, secret?: secretsmanager.ISecret): number {
  if (!Token.isUnresolved(arn)) {
    return arn.length + 3;
  }
  // CloudFormation names a secret by its id in the template and 12 characters, Secrets Manager adds 7.
  return 90 + (secret === undefined ? 0 : Names.uniqueId(secret).length + 20);
}
