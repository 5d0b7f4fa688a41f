/**
 * Tensor maps: which tensor of a model carries which field of a stage, and how. Shared by the connectors of the KServe v2
 * protocol.
 */
export { activated } from './activation.js';
export { type TensorMap, tensorMap } from './map-schema.js';
export type { DescribedTensor, ModelTensors, Outputs, RequestOptions, TensorClient } from './model-tensors.js';
export { plainRequests, type Requests } from './requests.js';
export { TENSOR_KINDS, TensorModels } from './served.js';
export { isTensorFile, joinedBytes, type Media, readTensorFile, writeTensorFile } from './tensor-files.js';
