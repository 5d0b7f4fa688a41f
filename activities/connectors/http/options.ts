import { z } from 'zod';
import { didYouMean } from '../../../pipelines/did-you-mean.js';
import type { PoolOptions } from '../connector.js';
import { type Api, type Description, type OptionsShape, optionsShape } from './api.js';
import { PRESETS, type PresetValues } from './presets/index.js';

/** Kinds whose requests stages describe themselves. */
const OWN_REQUESTS = 'http';

/** Schema of the `options` of a pool; what it gives is the whole description. */
export const httpOptions = (kind: string): z.ZodType<Api & PoolOptions> =>
  optionsShape.transform((given, context) => describedBy(kind, given, context)) as unknown as z.ZodType<
    Api & PoolOptions
  >;

/** The whole description that options of a pool make; what is wrong with them are issues of the context. */
export function describedBy(kind: string, given: OptionsShape, context: z.RefinementCtx): Api & PoolOptions {
  const wrong = (path: string[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  const { preset: name, values = {}, ...own } = given;
  const preset = name === undefined ? undefined : PRESETS.get(name);
  if (name !== undefined && !preset) {
    const known = [...PRESETS.keys()];
    return wrong(['preset'], `there is no preset "${name}" (there are: ${known.join(', ')})${didYouMean(name, known)}`);
  }
  const of = preset && (preset.kinds[kind] ?? (kind === OWN_REQUESTS ? {} : undefined));
  if (preset && !of && !own.request) {
    const kinds = Object.keys(preset.kinds).join(', ');
    return wrong(
      ['request'],
      `${name} has no request of a ${kind} stage (it has: ${kinds}): describe request and response`,
    );
  }
  if (kind !== OWN_REQUESTS && !of && !own.request) {
    return wrong(['request'], `a pool of the kind ${kind} needs a preset, or request and response`);
  }
  for (const { path, message } of valueFlaws(values, preset?.values, name)) wrong(path, message);
  const whole = merged({ ...preset?.base, ...of }, own);
  const flaws = [...requestFlaws(whole), ...objectFlaws(whole), ...credentialFlaws(whole, values)];
  for (const { path, message } of flaws) wrong(path, message);
  return { ...whole, kind, preset: name, values } as Api & PoolOptions;
}

/** A whole description, before its parts have been checked against each other. */
type Merged = Omit<Api, 'kind' | 'values' | 'objects'> & Pick<Description, 'objects'>;

/** The preset's description with what the pool's options say. Rules of the pool come first. */
function merged(preset: Description, own: Omit<OptionsShape, 'preset' | 'values'>): Merged {
  const objects = (preset.objects ?? own.objects) && { ...preset.objects, ...own.objects };
  const request =
    own.request && preset.request ? requestOver(preset.request, own.request) : (own.request ?? preset.request);
  return {
    ...preset,
    ...own,
    ...(request && { request }),
    response: { ...preset.response, ...own.response },
    ...(objects && { objects }),
    headers: { ...preset.headers, ...own.headers },
    errors: [...(own.errors ?? []), ...(preset.errors ?? [])],
  };
}

const BODIES = ['json', 'form', 'multipart', 'bytes'] as const;

/** A pool's request over its preset's: a body replaces any other, and a path any other address. */
function requestOver(preset: NonNullable<Description['request']>, own: NonNullable<Description['request']>) {
  const bodies = BODIES.some((body) => own[body] !== undefined) ? withoutBody(preset) : preset;
  const { path: _, url: __, ...rest } = bodies;
  const placed = own.path === undefined && own.url === undefined ? bodies : rest;
  return {
    ...placed,
    ...own,
    headers: { ...preset.headers, ...own.headers },
    query: { ...preset.query, ...own.query },
  };
}

const withoutBody = (request: NonNullable<Description['request']>) => ({
  ...request,
  json: undefined,
  form: undefined,
  multipart: undefined,
  bytes: undefined,
  contentType: undefined,
});

type Flaws = readonly { readonly path: string[]; readonly message: string }[];

function valueFlaws(values: Api['values'], known: PresetValues | undefined, preset: string | undefined): Flaws {
  if (!known) return [];
  const names = Object.keys(known);
  const unknown = Object.keys(values).filter((each) => !Object.hasOwn(known, each));
  const missing = names.filter((each) => known[each]?.required === true && values[each] === undefined);
  return [
    ...unknown.map((each) => ({
      path: ['values', each],
      message: `${preset} has no such value (it has: ${names.join(', ') || 'none'})${didYouMean(each, names)}`,
    })),
    ...missing.map((each) => ({ path: ['values', each], message: `is required: ${known[each]?.about}` })),
  ];
}

function credentialFlaws({ credential }: Merged, { region }: Api['values']): Flaws {
  if (typeof credential !== 'object' || !('sign' in credential) || credential.sign !== 'aws-v4') return [];
  if (credential.region !== undefined || (typeof region === 'string' && /^[a-z0-9-]{1,64}$/.test(region))) return [];
  return [{ path: ['credential', 'region'], message: 'is required: the region of AWS, here or as the value region' }];
}

/** What only the whole description shows. */
function requestFlaws({ request, response, job, canary }: Merged): Flaws {
  const all = [
    ['request', request],
    ['job.poll', job?.poll],
    ['job.result', job?.result],
    ['job.reason', job?.reason],
    ['job.cancel', job?.cancel],
    ['job.remove', job?.remove],
  ] as const;
  const flaws = all.flatMap(([name, each]) => {
    if (!each) return [];
    const bodies = BODIES.filter((body) => each[body] !== undefined);
    return [
      ...(bodies.length > 1
        ? [{ path: name.split('.'), message: `has ${bodies.join(' and ')}: a request has one body` }]
        : []),
      ...(bodies.length > 0 && each.method === 'GET' ? [{ path: name.split('.'), message: 'a GET has no body' }] : []),
      ...((each.path === undefined) === (each.url === undefined)
        ? [{ path: name.split('.'), message: 'needs a path, or a url that the server has given' }]
        : []),
      ...(each.contentType !== undefined && each.bytes === undefined
        ? [{ path: [...name.split('.'), 'contentType'], message: 'is for a body of bytes' }]
        : []),
    ];
  });
  const uncalled =
    job?.callback && !JSON.stringify(request ?? {}).includes('/call/callback')
      ? [{ path: ['job', 'callback'], message: 'needs a request that tells the server the address: $/call/callback' }]
      : [];
  const unheard =
    job?.callback && canary
      ? [{ path: ['canary'], message: 'submits a job that nobody waits for, so its server has no address to call' }]
      : [];
  const both =
    job && response.stream ? [{ path: ['response', 'stream'], message: 'a job is polled, not streamed' }] : [];
  const { stream } = response;
  const chunked =
    stream?.as === 'text' && stream.mode === 'whole'
      ? [{ path: ['response', 'stream', 'mode'], message: '"whole" is for sse and ndjson: a text comes in parts' }]
      : [];
  return [...flaws, ...uncalled, ...unheard, ...both, ...chunked];
}

/** What objects need of the rest of a description. A pool of the kind `http` has no request, and no use for them. */
function objectFlaws({ request, response, job, objects, credential, canary }: Merged): Flaws {
  if (!objects || !request) return [];
  const signs = typeof credential === 'object' && 'sign' in credential && credential.sign === 'aws-v4';
  return [
    ...(objects.inputs === undefined
      ? [{ path: ['objects', 'inputs'], message: 'is required: where inputs are written, s3://bucket/prefix' }]
      : []),
    ...(objects.output === undefined
      ? [{ path: ['objects', 'output'], message: 'is required: where the answer has the address of the output' }]
      : []),
    ...(job ? [{ path: ['job'], message: 'is in place of objects: a description has one of them' }] : []),
    ...(canary ? [{ path: ['canary'], message: 'is a call, and a job is none: leave it out' }] : []),
    ...(response.stream ? [{ path: ['response', 'stream'], message: 'an object is asked for, not streamed' }] : []),
    ...(BODIES.every((body) => request[body] === undefined)
      ? [{ path: ['request'], message: 'needs a body, which is written as the object' }]
      : []),
    ...(signs ? [] : [{ path: ['credential'], message: 'must be { "sign": "aws-v4" }, as S3 takes it' }]),
  ];
}
