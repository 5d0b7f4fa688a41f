/** The typed client of the REST API, for Node and browsers. */
export type {
  PipelineDocument,
  RunDocument,
  RunError,
  RunPage,
  RunStatus,
  RunSummary,
} from '../pipelines/run/document.js';
export {
  type ApprovalBody,
  type ClientEvent,
  type ClientOptions,
  type DecisionBody,
  MillraceClient,
  named,
  type Run,
  type RunFilters,
  type StartOptions,
  type SucceededRun,
} from './client.js';
export { ClientError } from './error.js';
export type { MediaInput, Received, Sent, ServedArtifact } from './values.js';
