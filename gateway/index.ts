/** The HTTP trigger. */
export * from './access/index.js';
export * from './admission/index.js';
export type { GatewayDeps, GatewayLimits, GatewayParts, ReadinessCheck } from './deps.js';
export { createGateway } from './gateway.js';
export type { Problem } from './http/problem.js';
export type { FastPath } from './runs/guarded-start.js';
export type { RunDocument } from './runs/run-document.js';
export { readRun } from './runs/run-read.js';
export { webhookEventOf } from './webhooks/event.js';
