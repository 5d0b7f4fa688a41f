import { describe, expect, it } from 'vitest';
import { inferenceService } from '../../../../protocols/open-inference/protocol.js';

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
    expect(bytes.toString('hex')).toBe('0a016d2a0f0a0154120542595445531a0301ac023a0107');
  });

  it('encodes a parameter by its type, and one that is false as false', () => {
    const { requestSerialize, requestDeserialize } = method('ModelInfer');
    const parameters = {
      a: { bool_param: false },
      b: { int64_param: '-9223372036854775808' },
      c: { string_param: '' },
      d: { double_param: 0.5 },
    };
    expect(requestDeserialize(requestSerialize({ model_name: 'm', parameters }))).toMatchObject({ parameters });
  });

  it('decodes maps as objects and skips fields that it does not know', () => {
    // Made with tritonclient 2.73.0: ModelConfigResponse with backend, max_batch_size, dynamic_batching and a parameter.
    const answer = Buffer.from('0a1a20045a0310d00f72080a016b12030a01768a0106707974686f6e', 'hex');
    expect(method('ModelConfig').responseDeserialize(answer)).toMatchObject({
      config: { backend: 'python', max_batch_size: 4, platform: '', parameters: { k: { string_value: 'v' } } },
    });
  });
});
