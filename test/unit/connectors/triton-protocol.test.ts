import { describe, expect, it } from 'vitest';
import { inferenceService } from '../../../activities/connectors/triton/protocol.js';

const method = (name: string) => {
  const found = inferenceService[name];
  if (!found) throw new Error(`no method ${name}`);
  return found;
};

describe('the protocol in memory', () => {
  it('has the paths of KServe v2', () => {
    expect(method('ModelInfer').path).toBe('/inference.GRPCInferenceService/ModelInfer');
  });

  it('encodes a request as tritonclient does', () => {
    const bytes = method('ModelInfer').requestSerialize({
      model_name: 'm',
      inputs: [{ name: 'T', datatype: 'BYTES', shape: [1, 300] }],
      raw_input_contents: [Buffer.from([7])],
    });
    // Made with tritonclient 2.73.0: ModelInferRequest(...).SerializeToString().hex()
    expect(bytes.toString('hex')).toBe('0a016d2a0f0a015412054259544553' + '1a0301ac02' + '3a0107');
  });

  it('decodes maps as objects and skips fields that it does not know', () => {
    const parameter = [0x0a, 0x01, 0x6b, 0x12, 0x03, 0x0a, 0x01, 0x76]; // "k": { string_value: "v" }
    const config = [0x72, parameter.length, ...parameter, 0x22, 0x01, 0x00]; // parameters = 14; max_batch_size as unknown type
    const answer = Buffer.from([0x0a, config.length - 3, ...config.slice(0, -3), 0xf8, 0x07, 0x01]); // field 127: unknown
    expect(method('ModelConfig').responseDeserialize(answer)).toMatchObject({
      config: { parameters: { k: { string_value: 'v' } }, max_batch_size: 0, backend: '' },
    });
  });
});
