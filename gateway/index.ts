/** The HTTP trigger. */

export * from '../runs/admission/index.js';
export type { FastPath } from '../runs/deps.js';
export type { RunDocument } from '../runs/document.js';
export { readRun } from '../runs/read.js';
export { webhookEventOf } from '../runs/webhooks/event.js';
export * from './access/index.js';
export type { GatewayDeps, GatewayLimits, GatewayParts } from './deps.js';
export { createGateway } from './gateway.js';
export type { Problem } from './http/problem.js';
export type { ReadinessCheck } from './readiness.js';
