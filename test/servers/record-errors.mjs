// Records how a running server answers requests that it cannot serve, for the test of the connectors' error codes
// (test/unit/activities/connectors/servers/recorded-answers.test.ts).
//
//   npm run build
//   node test/servers/record-errors.mjs litserve http://127.0.0.1:8000 --release 'LitServe 0.2.19'
//   node test/servers/record-errors.mjs triton-grpc 127.0.0.1:8001 --release 'Triton 2.51.0' --model echo
//
// The servers are those of the tests: BentoML, KServe, LitServe and Ray Serve with test/servers/services, MLServer with
// test/fixtures/mlserver (`--model embed`), Triton and llama.cpp as `millrace up` starts them, the others as
// test/servers/commands.ts does. Triton’s gRPC comes first: it loads the models that both ask. Some of the servers listen on
// all addresses: start them in a network namespace.
//
// The answers go to test/fixtures/servers/recorded/NAME.json. Each needs a code, chosen by reading the answer; codes of
// requests that were recorded before are kept, answers that are the same as another one of the server are left out.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { azureml } from './error-requests/azureml.mjs';
import { bentoml, kserveV1, litserve, rayServe } from './error-requests/frameworks.mjs';
import { kserveOpenAi } from './error-requests/kserve-openai.mjs';
import { llamaCpp } from './error-requests/llama-cpp.mjs';
import { openInference } from './error-requests/open-inference.mjs';
import { openInferenceGrpc } from './error-requests/open-inference-grpc.mjs';
import { dynamo, sglangRouter, sglangRouterAlone } from './error-requests/openai-gateways.mjs';
import { askedOverGrpc, askedOverHttp } from './error-requests/send.mjs';
import { torchserve, torchserveGrpc } from './error-requests/torchserve.mjs';
import { loadModels } from './error-requests/triton-models.mjs';

/** By name: the connector that the answers are for, and the requests. */
const SERVERS = {
  bentoml: { connector: 'bentoml', requests: bentoml },
  litserve: { connector: 'litserve', requests: litserve },
  'ray-serve': { connector: 'ray-serve', requests: rayServe },
  'kserve-v1': { connector: 'kserve-v1', requests: kserveV1 },
  'kserve-openai': { connector: 'openai', requests: kserveOpenAi },
  'kserve-v2': { connector: 'oip-rest', requests: openInference },
  mlserver: { connector: 'oip-rest', requests: openInference },
  'mlserver-grpc': { connector: 'triton', requests: openInferenceGrpc },
  triton: { connector: 'oip-rest', requests: openInference },
  'triton-grpc': { connector: 'triton', requests: openInferenceGrpc, prepare: loadModels },
  'llama-cpp': { connector: 'openai', requests: llamaCpp },
  azureml: { connector: 'azureml', requests: azureml },
  dynamo: { connector: 'openai', requests: dynamo },
  'sglang-router': { connector: 'openai', requests: sglangRouter },
  'sglang-router-alone': { connector: 'openai', requests: sglangRouterAlone },
  torchserve: { connector: 'torchserve', requests: torchserve },
  'torchserve-grpc': { connector: 'torchserve-grpc', requests: torchserveGrpc },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    release: { type: 'string' },
    /** The server’s key, where it asks for one. */
    key: { type: 'string' },
    model: { type: 'string', default: 'model' },
    /** Name of an input tensor of the model, and its element type. */
    input: { type: 'string', default: 'TEXT' },
    datatype: { type: 'string', default: 'BYTES' },
  },
});
const [name, at] = positionals;
if (!Object.hasOwn(SERVERS, name ?? '') || !at || !values.release) {
  process.stderr.write(
    `usage: record-errors.mjs NAME ADDRESS --release TEXT   (names: ${Object.keys(SERVERS).join(', ')})\n`,
  );
  process.exit(2);
}

const { connector, requests, prepare } = SERVERS[name];
const folder = fileURLToPath(new URL('../fixtures/servers/recorded', import.meta.url));
const file = path.join(folder, `${name}.json`);
const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).answers : [];
const codes = new Map(before.map(({ asked, ...known }) => [asked, known]));

await prepare?.(at);
const answers = [];
const seen = new Set();
const send = ['triton', 'torchserve-grpc'].includes(connector) ? askedOverGrpc : askedOverHttp;
const all = requests(values).filter(({ on = name }) => on === name);
for (const { on: _, asked, ...request } of all) {
  const answer = await send(at, request, values.key).catch((error) => ({ none: String(error.cause ?? error) }));
  if (answer.none !== undefined || answer.ok) {
    process.stderr.write(`${asked}: ${answer.none ?? `no error (${answer.status})`}\n`);
    continue;
  }
  const key = JSON.stringify(answer);
  if (seen.has(key)) continue;
  seen.add(key);
  const { code = null, unsent } = codes.get(asked) ?? {};
  answers.push({ asked, ...answer, code, ...(unsent && { unsent }) });
}
mkdirSync(folder, { recursive: true });
const date = new Date().toISOString().slice(0, 10);
writeFileSync(file, `${JSON.stringify({ server: values.release, connector, date, answers }, undefined, 2)}\n`);
process.stderr.write(`${answers.length} error answers of ${all.length} requests\n`);
