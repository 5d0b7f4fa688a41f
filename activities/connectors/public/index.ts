/**
 * `millrace/connector`: the interface that a connector implements, functions to implement it with, and the contract
 * suite that tests it.
 */
export { type ErrorCode, type ErrorDetails, isErrorCode, MillraceError } from '../../../pipelines/errors.js';
export type { Json, JsonObject } from '../../../pipelines/json.js';
export { baseUrl } from '../base-url.js';
export type {
  Backend,
  Batching,
  BatchWork,
  Call,
  CallbackPort,
  CallContext,
  Capability,
  Connector,
  Joining,
  LoadState,
  MapError,
  PoolOptions,
  Reply,
  Repository,
  ServerWork,
  Usage,
} from '../connector.js';
export { type Contract, type ContractCall, connectorContract, noAudio, type TestRunner } from '../contract/index.js';
export { type Answer, type Exchange, exchange, LONGEST_BODY, type Transport, textOf } from '../exchange.js';
export { HandedOver } from '../handed-over.js';
export { readBody } from '../http/answer.js';
export { codeOfStatus, errorMapper, HttpFault, shortened } from '../http-fault.js';
export { handlerOf, mapped } from '../mapped.js';
export { retryAfterMs } from '../retry-after.js';
export { isNotReady, neverLeft } from '../unsent.js';
