/**
 * The KServe v2 inference protocol (Open Inference Protocol): its gRPC messages and the form of tensors on the wire. The
 * connectors of its servers speak it as clients, the gateway's door as a server.
 */
export { type AnyTensor, badInput, fromWire, isDtype, toWire } from './any-tensor.js';
export { tensorsOf } from './contents.js';
export type { Element } from './elements.js';
export { numbersJson, parseExactly } from './exact-json.js';
export type {
  InferRequest,
  Int64,
  Methods,
  ModelConfig,
  ModelIndex,
  Parameters,
  StatisticsMessage,
  StreamResponse,
  TensorHeader,
} from './messages.js';
export { parametersOf } from './parameters.js';
export { inferenceService } from './protocol.js';
export {
  fp32Tensor,
  invalid,
  readFp32,
  readInt16,
  readInt32,
  readText,
  sizeOf,
  type Tensor,
  textTensor,
} from './tensors.js';
