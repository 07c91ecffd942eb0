export * from './application';
export * from './rotator';
