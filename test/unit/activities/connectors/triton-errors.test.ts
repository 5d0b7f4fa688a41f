import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { mapError } from '../../../../activities/connectors/triton/errors.js';
import { MillraceError } from '../../../../pipelines/errors.js';

const about = { endpoint: 'gpu:8001', model: 'whisper', signal: new AbortController().signal };
const grpcError = (code: status, details: string) => Object.assign(new Error(`${code} ${details}`), { code, details });

describe('what an error of Triton means', () => {
  it.each([
    [status.UNAVAILABLE, 'No connection established. Last error: connect ECONNREFUSED', 'BACKEND_UNAVAILABLE'],
    [status.UNAVAILABLE, 'Connection dropped', 'BACKEND_UNAVAILABLE'],
    [status.UNAVAILABLE, 'Exceeds maximum queue size', 'BACKEND_OVERLOADED'],
    [status.UNAVAILABLE, 'Request timeout expired', 'BACKEND_OVERLOADED'],
    [status.UNAVAILABLE, "Request for unknown model: 'whisper' has no available versions", 'MODEL_NOT_FOUND'],
    [status.NOT_FOUND, "Request for unknown model: 'whisper' is not found", 'MODEL_NOT_FOUND'],
    [status.INTERNAL, "Stub process 'whisper_0_0' is not healthy.", 'BACKEND_BROKEN'],
    [status.INTERNAL, 'CUDA error: an illegal memory access was encountered', 'BACKEND_BROKEN'],
    [
      status.INTERNAL,
      "Failed to process the request(s) for model 'm', message: Stub process is not healthy.",
      'BACKEND_BROKEN',
    ],
    [status.INTERNAL, 'Failed to process the request(s) for model instance: ValueError', 'BACKEND_ERROR'],
    [status.INTERNAL, 'ValueError: the patient is not healthy', 'BACKEND_ERROR'],
    [status.INTERNAL, 'onnx runtime error 2: Got invalid dimensions for input: x', 'BACKEND_ERROR'],
    [status.INTERNAL, 'PyTorch execute failure: shape mismatch', 'BACKEND_ERROR'],
    [status.INTERNAL, 'CUDA error: out of memory', 'BACKEND_ERROR'],
    [status.INTERNAL, 'Received RST_STREAM with code 2 (Internal server error)', 'BACKEND_UNAVAILABLE'],
    [status.INTERNAL, 'Response message parsing error: index out of range', 'INVALID_OUTPUT'],
    [status.INVALID_ARGUMENT, "unexpected shape for input 'TEXT'", 'BACKEND_REJECTED'],
    [status.UNIMPLEMENTED, 'unknown method', 'BACKEND_REJECTED'],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'BACKEND_TIMEOUT'],
    [status.RESOURCE_EXHAUSTED, 'too many requests', 'BACKEND_OVERLOADED'],
    [status.RESOURCE_EXHAUSTED, 'Received message larger than max (70000000 vs 67108864)', 'BACKEND_REJECTED'],
    [status.RESOURCE_EXHAUSTED, 'Attempted to send message with a size larger than 67108864', 'BACKEND_REJECTED'],
    [status.UNAUTHENTICATED, '', 'BACKEND_UNAUTHORIZED'],
    [status.PERMISSION_DENIED, '', 'BACKEND_UNAUTHORIZED'],
    [status.UNKNOWN, 'whisper: RuntimeError()', 'BACKEND_ERROR'],
    [status.CANCELLED, 'by the server', 'BACKEND_ERROR'],
    // What a model says itself: of a model that it calls or loads, and of a text that it reads.
    [
      status.INTERNAL,
      "Failed to process the request(s) for model instance 'm_0', message: failed to load 'part', failed to poll from model repository",
      'BACKEND_ERROR',
    ],
    [status.UNKNOWN, "requested model 'part' is not available", 'BACKEND_ERROR'],
    [status.UNKNOWN, 'Unable to parse request', 'BACKEND_ERROR'],
    [status.INTERNAL, 'unable to parse request of the calculator: 1 +', 'BACKEND_ERROR'],
    [status.UNKNOWN, "'fp9' is not a valid Datatype", 'BACKEND_ERROR'],
  ] as const)('code %i "%s" is %s', (code, details, expected) => {
    const error = mapError(grpcError(code, details), about);
    expect(error.code).toBe(expected);
    expect(error.details.endpoint).toBe('gpu:8001');
    expect(error.message).toContain('whisper at gpu:8001');
  });

  it('lets an error of the artifact store through as it is', () => {
    const error = new MillraceError('ARTIFACT_CORRUPT', 'sha256 differs');
    expect(mapError(error, about)).toBe(error);
  });

  it('adds the endpoint to an answer that it could not read', () => {
    expect(mapError(new MillraceError('INVALID_OUTPUT', 'no tensor TEXT'), about)).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: 'whisper at gpu:8001: no tensor TEXT',
      details: { endpoint: 'gpu:8001' },
    });
  });

  it('calls an error that is not gRPC’s a bug', () => {
    expect(mapError(new TypeError('x is undefined'), about).code).toBe('INTERNAL');
  });

  it('cuts a traceback short', () => {
    expect(mapError(grpcError(status.UNKNOWN, 'x'.repeat(10_000)), about).message.length).toBeLessThan(600);
  });
});
