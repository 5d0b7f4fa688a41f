/** The HTTP trigger. */
export type { GatewayDeps, GatewayLimits } from './deps.js';
export { createGateway } from './gateway.js';
export type { Problem } from './problem.js';
export type { RunDocument } from './run-document.js';
