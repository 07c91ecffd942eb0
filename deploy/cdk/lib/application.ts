import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

/**
 * Fourstep in the shape of AWS's rotation applications, for stacks that use CDK's own `SecretRotation`:
 * only its `application` changes. The application is deploy/aws-shape.yaml, published to the Serverless
 * Application Repository of an account of yours (docs/install.md).
 */
export class FourstepApplication extends secretsmanager.SecretRotationApplication {
  /**
   * @param applicationArn the published application
   * @param semanticVersion its version
   * @param options `isMultiUser`: two users take turns, by an admin's secret
   */
  constructor(
    applicationArn: string,
    semanticVersion: string,
    options?: secretsmanager.SecretRotationApplicationOptions,
  ) {
    // The name is what the methods below make the ARN of; they are called before a field could be set.
    super(applicationArn, semanticVersion, options);
  }

  /** AWS's own accounts are not asked; the ARN is the same wherever the stack is synthesized for. */
  public applicationArnForPartition(_partition: string): string {
    return (this as unknown as { applicationName: string }).applicationName;
  }

  public semanticVersionForPartition(_partition: string): string {
    return super.semanticVersionForPartition('aws');
  }
}
