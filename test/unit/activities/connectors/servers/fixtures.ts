import { type Asked, chatDelta, type Told } from './fixture-server.js';

/*
 * Serving systems that cannot run here, or are too dear for each run of the tests, as far as their documentation
 * describes them (the pages are named in the presets). Each knows the model `model`; the input `slow` is never answered,
 * the input `bad` is refused as the system refuses what a model does not take.
 */

const MODEL = 'model';
const first = (body: unknown): unknown => (Array.isArray(body) ? first(body[0]) : body);
const vector = [3, 4];

export function kserveV1({ path, json }: Asked): Told {
  const [, model, verb] = /^\/v1\/models\/([^:/]+)(:predict)?$/.exec(path) ?? [];
  if (model !== MODEL) return { status: 404, json: { error: `Model with name ${model} does not exist.` } };
  if (verb === undefined) return { json: { name: MODEL, ready: 'True' } };
  const instances = json?.instances;
  const asks = first(instances);
  if (asks === 'slow') return { never: true };
  if (asks === 'bad') return { status: 400, json: { error: 'Expected "instances" to be a list of texts' } };
  if (typeof asks === 'number') return { json: { predictions: instances } };
  if (typeof asks === 'object') return { json: { predictions: instances.map((_: unknown, i: number) => i / 10) } };
  // A classifier has a row of scores for each text, an embedder a vector: both are two numbers.
  return { json: { predictions: instances.map(() => vector) } };
}

export function tensorflowServing({ path, json }: Asked): Told {
  const [, model, version, verb] =
    /^\/v1\/models\/([^:/]+)((?:\/(?:versions|labels)\/[^:/]+)?)(:predict)?$/.exec(path) ?? [];
  if (model !== MODEL) return { status: 404, json: { error: `Servable not found for request: Latest(${model})` } };
  if (verb === undefined) {
    const status = { error_code: 'OK', error_message: '' };
    return { json: { model_version_status: [{ version: '3', state: 'AVAILABLE', status }] } };
  }
  if (version === '/versions/9')
    return { status: 404, json: { error: 'Servable not found for request: Specific(model, 9)' } };
  const asks = first(json?.instances);
  if (asks === 'slow') return { never: true };
  if (asks === 'bad')
    return {
      status: 400,
      json: { error: "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT" },
    };
  if (json?.inputs) return { json: { outputs: json.inputs } };
  return { json: { predictions: json.instances.map(() => vector) } };
}

export function torchserve({ path, text, json, headers }: Asked): Told {
  if (path === '/ping') return { json: { status: 'Healthy' } };
  if (headers.authorization !== 'Bearer token-of-the-fixture') {
    const message = 'Token Authorization failed. Token either incorrect, expired, or not provided correctly';
    return { status: 400, json: { code: 400, type: 'InvalidKeyException', message } };
  }
  const [, model] = /^\/predictions\/([^/]+)/.exec(path) ?? [];
  if (model !== MODEL)
    return { status: 404, json: { code: 404, type: 'ModelNotFoundException', message: `Model not found: ${model}` } };
  if (text === 'slow') return { never: true };
  if (text === 'bad')
    return {
      status: 400,
      json: { code: 400, type: 'BadRequestException', message: 'Parameter model_name is required.' },
    };
  if (headers['content-type'] === 'application/json') return { json };
  if (headers['content-type'] === 'image/png') return { json: [{ label: 'cat', score: 0.9 }] };
  if (headers['content-type'] === 'audio/wav') return { text: ` ${text.slice(0, 4)} of ${text.length} ` };
  if (text.startsWith('What is')) return { parts: ['Paris,', ' of', ' course'] };
  return { json: text === 'embed' ? vector : { yes: 0.75, no: 0.25 } };
}

const embeds = (texts: readonly string[]) => ({ json: texts.map(() => vector) });
const scores = { yes: 0.75, no: 0.25 };

export function rayServe({ path, json, headers }: Asked): Told {
  if (path === '/-/healthz') return { text: 'success' };
  if (path !== '/')
    return { status: 404, text: `Path '${path}' not found. Ping http://…/-/routes for available routes.` };
  const asks = json?.text ?? json?.texts?.[0];
  if (asks === 'slow') return { never: true };
  if (asks === 'bad') return { status: 422, json: { detail: [{ msg: 'text must not be bad', type: 'value_error' }] } };
  if (asks === 'multiplexed') return { json: { yes: headers.serve_multiplexed_model_id === 'm7' ? 1 : 0, no: 0 } };
  if (json?.texts) return embeds(json.texts);
  return { json: json?.text === undefined ? json : scores };
}

export function azureml({ path, json, headers }: Asked): Told {
  if (headers.authorization !== 'Bearer key-of-the-endpoint')
    return { status: 401, text: 'key_auth_bad_header_format' };
  if (path === '/v1/chat/completions') {
    const words = [chatDelta('Paris,'), chatDelta(' of'), chatDelta(' course', 'stop')];
    return { headers: { 'content-type': 'text/event-stream' }, parts: words };
  }
  if (path !== '/score') return { status: 404, text: 'no such route' };
  const deployment = headers['azureml-model-deployment'];
  if (deployment !== undefined && deployment !== 'blue')
    return { status: 404, text: `Specified deployment [${deployment}] could not be found.` };
  const asks = json?.text ?? json?.texts?.[0];
  if (asks === 'slow') return { never: true };
  if (asks === 'bad') {
    return {
      status: 424,
      headers: { 'ms-azureml-model-error-statuscode': '400' },
      json: { message: 'text must not be bad' },
    };
  }
  if (json?.texts) return embeds(json.texts);
  return { json: json?.data ?? scores };
}

export function tgi({ path, json }: Asked): Told {
  if (path === '/health') return { text: '' };
  if (path === '/info') return { json: { model_id: 'm', model_sha: 'abc', max_total_tokens: 4096, version: '3.0.0' } };
  if (path !== '/generate_stream') return { status: 404, text: 'Not Found' };
  if (json.parameters.temperature === 0) {
    return {
      status: 422,
      json: { error: 'Input validation error: `temperature` must be strictly positive', error_type: 'validation' },
    };
  }
  if (json.parameters.top_p >= 1) {
    return {
      status: 422,
      json: { error: 'Input validation error: `top_p` must be > 0.0 and < 1.0', error_type: 'validation' },
    };
  }
  const inputs = String(json.inputs);
  if (inputs === 'slow') return { never: true };
  if (inputs === 'bad') {
    return {
      status: 422,
      json: { error: 'Input validation error: `inputs` cannot be empty', error_type: 'validation' },
    };
  }
  const token = (text: string, special = false) => ({
    index: 1,
    token: { id: 1, text, logprob: 0, special },
    generated_text: null,
    details: null,
  });
  const last = {
    ...token('</s>', true),
    generated_text: 'Paris, of course',
    details: { finish_reason: 'eos_token', generated_tokens: 4, input_length: 7, seed: null },
  };
  const events =
    inputs === 'fails'
      ? [token('Par'), { error: 'Request failed during generation: CUDA out of memory', error_type: 'generation' }]
      : inputs === 'breaks'
        ? [token('Par')]
        : [token('Paris,'), token(' of'), token(' course'), last];
  return {
    headers: { 'content-type': 'text/event-stream' },
    parts: events.map((event) => `data:${JSON.stringify(event)}\n\n`),
  };
}
