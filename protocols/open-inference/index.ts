/**
 * The KServe v2 inference protocol (Open Inference Protocol): gRPC messages and tensor encodings, for connectors (as
 * clients) and the gateway's door (as server).
 */
export { type AnyTensor, badInput, fromWire, invalidInput, isDtype, toWire } from './any-tensor.js';
export { tensorsOf, withBytes } from './contents.js';
export { CODECS, type Element, type Fixed } from './elements.js';
export { longIntegersOf, lostBetween, lostInteger, parseExactly } from './exact-json.js';
export type {
  InferRequest,
  InferResponse,
  Int64,
  Methods,
  ModelConfig,
  ModelIndex,
  Parameters,
  ReceivedInferRequest,
  StatisticsMessage,
  StreamResponse,
  TensorHeader,
  TensorMessage,
} from './messages.js';
export { type ParameterValue, parametersOf, valuesOf } from './parameters.js';
export { inferenceService } from './protocol.js';
export { expectModestRequest, MOST_PARTS } from './scan.js';
export { elementsOf, tensorJson } from './tensor-json.js';
export {
  bytesTensor,
  fp32Tensor,
  invalid,
  readBytes,
  readInt16,
  readInt32,
  readTexts,
  sizeOf,
  type Tensor,
  textTensor,
} from './tensors.js';
