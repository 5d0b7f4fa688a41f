/** The typed client of the REST API, for Node and browsers. */
export type {
  Approval,
  ApprovalPage,
  PipelineDocument,
  RunDocument,
  RunError,
  RunPage,
  RunStatus,
  RunSummary,
} from '../pipelines/run/document.js';
export { MillraceClient, named } from './client.js';
export { ClientError } from './error.js';
export { LiveRun } from './live-run.js';
export type { ApprovalBody, ClientOptions, DecisionBody, RunFilters, StartOptions } from './options.js';
export type { AudioOptions, ClientEvent, Run, SucceededRun } from './runs.js';
export type { MediaInput, Received, Sent, ServedArtifact } from './values.js';
