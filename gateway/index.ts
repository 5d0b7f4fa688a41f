/** The HTTP trigger. */
export type { GatewayDeps, GatewayLimits, ReadinessCheck } from './deps.js';
export { createGateway } from './gateway.js';
export type { Problem } from './problem.js';
export type { RunDocument, RunError, RunStatus } from './run-document.js';
