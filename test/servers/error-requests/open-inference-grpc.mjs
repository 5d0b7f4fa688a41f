/** Calls of the Open Inference Protocol over gRPC that cannot be served. */
export function openInferenceGrpc({ model, input, datatype }) {
  const text = datatype === 'BYTES';
  // A text is behind its length; a number here is 4 bytes.
  const element = text ? Buffer.from([1, 0, 0, 0, 0x61]) : Buffer.alloc(4);
  const tensor = { name: input, datatype, shape: ['1', '1'] };
  const call = (more = {}) => ({
    model_name: model,
    model_version: '',
    inputs: [tensor],
    outputs: [],
    raw_input_contents: [element],
    ...more,
  });
  const infer = (asked, more) => ({ asked, request: call(more) });
  const of = (more, raw = [element]) => ({ inputs: [{ ...tensor, ...more }], raw_input_contents: raw });
  return [
    infer('an unknown model', { model_name: 'nope' }),
    infer('no model', { model_name: '' }),
    infer('an unknown version', { model_version: '99' }),
    infer('a version that is no number', { model_version: 'x' }),
    infer('no inputs', { inputs: [], raw_input_contents: [] }),
    infer('an input that the model does not have', of({ name: 'NOPE' })),
    infer('an input too many', {
      inputs: [tensor, { ...tensor, name: 'NOPE' }],
      raw_input_contents: [element, element],
    }),
    infer('an input twice', { inputs: [tensor, tensor], raw_input_contents: [element, element] }),
    infer('an input without a name', of({ name: '' })),
    infer('an input without a datatype', of({ datatype: '' })),
    infer('a datatype that nobody knows', of({ datatype: 'FP8' })),
    infer('another datatype than the model’s', of({ datatype: text ? 'INT32' : 'BYTES' })),
    infer('another rank than the model’s', of({ shape: ['1', '1', '1'] })),
    infer('another size than the model’s', of({ shape: ['1', '2'] }, [Buffer.concat([element, element])])),
    infer('more than a batch', of({ shape: ['999', '1'] }, [Buffer.concat(Array(999).fill(element))])),
    infer('an empty batch', of({ shape: ['0', '1'] }, [Buffer.alloc(0)])),
    infer('a negative shape', of({ shape: ['-1', '1'] })),
    infer('no shape', of({ shape: [] })),
    infer('fewer bytes than the shape says', of({}, [element.subarray(0, 3)])),
    infer('more bytes than the shape says', of({}, [Buffer.concat([element, element])])),
    infer('no contents', of({}, [])),
    infer('contents of more inputs', of({}, [element, element])),
    infer('a text that is longer than its bytes', of({}, [Buffer.from([255, 0, 0, 0, 0x61])])),
    infer('a text that is not UTF-8', of({}, [Buffer.from([1, 0, 0, 0, 0xff])])),
    infer('an output that the model does not have', { outputs: [{ name: 'NOPE' }] }),
    infer('an output twice', { outputs: [{ name: 'OUT' }, { name: 'OUT' }] }),
    infer('shared memory that is not registered', {
      inputs: [
        {
          ...tensor,
          parameters: {
            shared_memory_region: { string_param: 'nope' },
            shared_memory_byte_size: { int64_param: '5' },
          },
        },
      ],
      raw_input_contents: [],
    }),
    infer('a priority of another type', { parameters: { priority: { string_param: 'high' } } }),
    infer('a sequence of another type', { parameters: { sequence_id: { bool_param: true } } }),
    { asked: 'a message that is no protobuf', request: Buffer.from('no protobuf at all') },
    { asked: 'a method that is not there', path: '/inference.GRPCInferenceService/Nope', request: call() },
    { asked: 'a service that is not there', path: '/nope.Service/Nope', request: call() },
    { asked: 'the metadata of an unknown model', method: 'ModelMetadata', request: { name: 'nope' } },
    { asked: 'the metadata of an unknown version', method: 'ModelMetadata', request: { name: model, version: '99' } },
    { asked: 'the configuration of an unknown model', method: 'ModelConfig', request: { name: 'nope' } },
    { asked: 'the statistics of an unknown model', method: 'ModelStatistics', request: { name: 'nope' } },
    { asked: 'whether an unknown model is ready', method: 'ModelReady', request: { name: 'nope' } },
    { asked: 'to load an unknown model', method: 'RepositoryModelLoad', request: { model_name: 'nope' } },
    { asked: 'to unload an unknown model', method: 'RepositoryModelUnload', request: { model_name: 'nope' } },
    ...OWN_MODELS,
  ];
}

const texts = (...all) =>
  Buffer.concat(
    all.map((each) => {
      const bytes = Buffer.from(each);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
const ask = (model_name, name, datatype, shape, contents) => ({
  request: { model_name, inputs: [{ name, datatype, shape }], outputs: [], raw_input_contents: [contents] },
});

/** Of test/fixtures/mlserver and deploy/local/models: `on` says which server has the model. */
const OWN_MODELS = [
  { on: 'mlserver-grpc', asked: 'what a model refuses', ...ask('broken', 'KIND', 'BYTES', ['1'], texts('refused')) },
  { on: 'mlserver-grpc', asked: 'a model that fails', ...ask('broken', 'KIND', 'BYTES', ['1'], texts('failed')) },
  {
    on: 'triton-grpc',
    asked: 'a text that the model cannot read',
    ...ask('minilm', 'TEXT', 'BYTES', ['1', '1'], Buffer.from([1, 0, 0, 0, 0xff])),
  },
  { on: 'triton-grpc', asked: 'sound of no length', ...ask('whisper', 'AUDIO', 'FP32', ['0'], Buffer.alloc(0)) },
  {
    on: 'triton-grpc',
    asked: 'a call without one of two inputs',
    ...ask('rerank', 'QUERY', 'BYTES', ['1', '1'], texts('a')),
  },
  {
    on: 'triton-grpc',
    asked: 'more than fits the queue',
    times: 64,
    ...ask('narrow', 'TEXT', 'BYTES', ['1', '1'], texts('a')),
  },
  {
    on: 'triton-grpc',
    asked: 'more than the queue serves in time',
    times: 16,
    ...ask('hasty', 'TEXT', 'BYTES', ['1', '1'], texts('a')),
  },
  {
    on: 'triton-grpc',
    asked: 'a model with many answers as one call',
    ...ask('many', 'TEXT', 'BYTES', ['1', '1'], texts('a')),
  },
  {
    on: 'triton-grpc',
    asked: 'to load a model without its files',
    method: 'RepositoryModelLoad',
    request: { model_name: 'nothing', parameters: { config: { string_param: '{"backend": "python"}' } } },
  },
  {
    on: 'triton-grpc',
    asked: 'to load a model with a configuration that is none',
    method: 'RepositoryModelLoad',
    request: { model_name: 'minilm', parameters: { config: { string_param: '{"nope": 1}' } } },
  },
];
