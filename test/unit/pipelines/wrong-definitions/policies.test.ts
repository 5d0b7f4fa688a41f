import { z } from 'zod';
import { chat, classify, embed, exact, http, infer, semantic, tensor, upsert } from '../../../../pipelines/index.js';
import { type Anything, ask, type Case, define, one, PROMPT, policy, refuses, TEXT, upper } from './refusal.js';

const written = (method: 'GET' | 'PUT' | 'POST') => http({ service: 's', method, path: '/x', output: z.json() });

const POLICIES: readonly Case[] = [
  ['a misspelt option', 'a.retries', /the options are cache/, () => policy({ retries: 3 })],
  ['a misspelt part of retry', 'a.retry.attempt', /the options are attempts/, () => policy({ retry: { attempt: 3 } })],
  ['a misspelt part of backoff', 'a.retry.backoff.jiter', /jitter/, () => policy({ retry: { backoff: { jiter: 0 } } })],
  [
    'a misspelt part of timeout',
    'a.timeout.attempts',
    /the options are attempt/,
    () => policy({ timeout: { attempts: '5s' } }),
  ],
  ['a timeout that is no object', 'a.timeout', /an object with attempt/, () => policy({ timeout: '5s' })],
  ['no attempts', 'a.retry.attempts', /between 1 and 100/, () => policy({ retry: { attempts: 0 } })],
  ['half an attempt', 'a.retry.attempts', /whole number/, () => policy({ retry: { attempts: 1.5 } })],
  [
    'waits that shrink',
    'a.retry.backoff.factor',
    /between 1 and 10/,
    () => policy({ retry: { backoff: { factor: 0.5 } } }),
  ],
  [
    'more jitter than wait',
    'a.retry.backoff.jitter',
    /between 0 and 1/,
    () => policy({ retry: { backoff: { jitter: 2 } } }),
  ],
  [
    'a first wait longer than the longest',
    'a.retry.backoff.initial',
    /longer than/,
    () => policy({ retry: { backoff: { initial: '2s', max: '1s' } } }),
  ],
  ['a retry of nothing', 'a.retry.on', /attempts: 1/, () => policy({ retry: { on: [] } })],
  ['a retry of an unknown code', 'a.retry.on', /error table/, () => policy({ retry: { on: ['TEAPOT'] } })],
  ['a retry of what never helps', 'a.retry.on', /never retried/, () => policy({ retry: { on: ['INVALID_INPUT'] } })],
  ['a time that is none', 'a.timeout.attempt', /duration/, () => policy({ timeout: { attempt: 'soon' } })],
  [
    'an attempt longer than the total',
    'a.timeout.attempt',
    /timeout\.total/,
    () => policy({ timeout: { attempt: '2m', total: '1m' } }),
  ],
  [
    'a queue time longer than the total',
    'a.timeout.queue',
    /timeout\.total/,
    () => policy({ timeout: { queue: '2m', total: '1m' } }),
  ],
  [
    'a first chunk after the attempt’s end',
    'a.timeout.firstChunk',
    /timeout\.attempt/,
    () => policy({ timeout: { firstChunk: '2m' } }),
  ],
  [
    'a silence longer than the attempt',
    'a.timeout.idle',
    /timeout\.attempt/,
    () => policy({ timeout: { idle: '2m' } }),
  ],
  ['a total longer than the deadline', 'a.timeout.total', /deadline/, () => policy({ timeout: { total: '1h' } })],
  [
    'a first chunk of a function',
    'a.timeout.firstChunk',
    /that a pool serves/,
    () => one(upper, TEXT, { timeout: { firstChunk: '1s' } }),
  ],
  ['a hedge of a function', 'a.hedge', /that a pool serves/, () => one(upper, TEXT, { hedge: { after: '1s' } })],
  ['a hedge with neither', 'a.hedge', /"after" or "percentile"/, () => policy({ hedge: {} })],
  ['a hedge with both', 'a.hedge', /"after" or "percentile"/, () => policy({ hedge: { after: '1s', percentile: 95 } })],
  ['a hedge below the median', 'a.hedge.percentile', /between 50/, () => policy({ hedge: { percentile: 10 } })],
  ['a hedge after the attempt’s end', 'a.hedge.after', /timeout\.attempt/, () => policy({ hedge: { after: '2m' } })],
  ['an unknown priority', 'a.priority', /interactive, default, batch/, () => policy({ priority: 'urgent' })],
  ['an unknown execution', 'a.execution', /"queued" or "inline"/, () => policy({ execution: 'fast' })],
  ['a cache without a key', 'a.cache.key', /missing/, () => policy({ cache: semantic({} as Anything) })],
  [
    'a cache’s key that is a number',
    'a.cache.key',
    /compared as text/,
    () => define(({ input, stage }) => stage('a', ask, PROMPT, { cache: semantic({ key: input.n }) })),
  ],
  [
    'a similarity of 0',
    'a.cache.minSimilarity',
    /above 0/,
    () => policy({ cache: semantic({ key: 'x' as Anything, minSimilarity: 0 }) }),
  ],
  [
    'a cache that keeps nothing',
    'a.cache.ttl',
    /duration/,
    () => policy({ cache: semantic({ key: 'x' as Anything, ttl: '0s' }) }),
  ],
  [
    'a cache without an embedder',
    'a.cache.embedder',
    /name a pool/,
    () => policy({ cache: semantic({ key: 'x' as Anything, embedder: '' }) }),
  ],
  ['a cache that is none', 'a.cache', /semantic\(\{ key \}\) or exact\(\)/, () => policy({ cache: 'exact' })],
  [
    'a misspelt option of a semantic cache',
    'a.cache.freshnes',
    /known: key, ttl/,
    () => policy({ cache: semantic({ key: 'x' as Anything, freshnes: {} } as Anything) }),
  ],
  [
    'an agreement by a field that the output does not have',
    'a.cache.agree.fields',
    /"txet", which the output does not have; it has text/,
    () => policy({ cache: semantic({ key: 'x' as Anything, agree: { by: 'fields', fields: ['txet'] } }) }),
  ],
  [
    'a verifier without an error rate',
    'a.cache.verifier',
    /only with maxErrorRate/,
    () => policy({ cache: semantic({ key: 'x' as Anything, verifier: { entailment: 'nli' } }) }),
  ],
  [
    'a verifier without a pool',
    'a.cache.verifier.entailment',
    /must name a pool/,
    () => policy({ cache: semantic({ key: 'x' as Anything, maxErrorRate: 0.05, verifier: { entailment: '' } }) }),
  ],
  [
    'a misspelt option of a verifier',
    'a.cache.verifier.labels',
    /known: entailment, label, timeout/,
    () =>
      policy({
        cache: semantic({
          key: 'x' as Anything,
          maxErrorRate: 0.05,
          verifier: { entailment: 'nli', labels: [] } as Anything,
        }),
      }),
  ],
  [
    'a verifier that nobody would wait for',
    'a.cache.verifier.timeout',
    /10 s at most/,
    () =>
      policy({
        cache: semantic({
          key: 'x' as Anything,
          maxErrorRate: 0.05,
          verifier: { entailment: 'nli', timeout: '1m' },
        }),
      }),
  ],
  [
    'a misspelt option of a cache',
    'a.cache.tll',
    /known: kind, ttl/,
    () => policy({ cache: exact({ tll: '1h' } as Anything) }),
  ],
  [
    'an exact cache of a function that may have effects',
    'a.cache',
    /state pure: true/,
    () => one(upper, TEXT, { cache: exact() }),
  ],
  [
    'an exact cache of a write',
    'a.cache',
    /upsert has an effect, which a hit would skip/,
    () => one(upsert({ index: 'i' }), { passages: [] }, { cache: exact({ pure: true }) }),
  ],
  [
    'an exact cache of a request that writes',
    'a.cache',
    /POST has an effect/,
    () => one(written('POST'), {}, { cache: exact({ pure: true }) }),
  ],
  [
    'an exact cache whose alternative writes',
    'a.cache',
    /PUT has an effect/,
    () => one(written('GET'), {}, { cache: exact({ pure: true }), fallback: [written('PUT')] }),
  ],
  [
    'an exact cache of a request that nobody calls pure',
    'a.cache',
    /state pure: true/,
    () => one(written('GET'), {}, { cache: exact() }),
  ],
  [
    'time words of an exact cache',
    'a.cache.freshness.timeWords',
    /only to semantic/,
    () => policy({ cache: exact({ freshness: { timeWords: 'serve' } }) }),
  ],
  [
    'a version that is a list',
    'a.cache.freshness.version',
    /must be a text or a number/,
    () => policy({ cache: exact({ freshness: { version: ['v1'] as never } }) }),
  ],
  [
    'a fallback of another kind',
    'a.fallback',
    /embed stage where chat/,
    () => policy({ fallback: [embed({ model: 'minilm' })] }),
  ],
  [
    'a fallback without the schema',
    'a.fallback',
    /without the schema/,
    () => one(chat({ model: 'x', output: z.object({ n: z.number() }) }), PROMPT, { fallback: [ask] }),
  ],
  [
    'a fallback with another schema',
    'a.fallback',
    /differ in schema/,
    () =>
      one(chat({ model: 'x', output: z.object({ n: z.number() }) }), PROMPT, {
        fallback: [chat({ model: 'y', output: z.object({ m: z.number() }) })],
      }),
  ],
  [
    'a fallback with other labels',
    'a.fallback',
    /differ in labels/,
    () =>
      one(classify({ model: 'x', labels: ['a', 'b'] }), TEXT, {
        fallback: [classify({ model: 'y', labels: ['a', 'c'] })],
      }),
  ],
  [
    'a fallback with other tensors',
    'a.fallback',
    /differ in outputs/,
    () =>
      one(
        infer({ model: 'x', inputs: {}, outputs: { Y: tensor({ dtype: 'FP32', shape: [1] }) } }),
        {},
        {
          fallback: [infer({ model: 'y', inputs: {}, outputs: { Y: tensor({ dtype: 'FP32', shape: [2] }) } })],
        },
      ),
  ],
  ['a rung that always holds', 'a.degrade', /always apply/, () => policy({ degrade: [{ below: '1h', to: ask }] })],
  [
    'two rungs at one height',
    'a.degrade',
    /two rungs/,
    () => policy({ degrade: ['10s', '10s'].map((below) => ({ below, to: ask })) }),
  ],
  [
    'a cached rung without a cache',
    'a.degrade',
    /needs a cache/,
    () => policy({ degrade: [{ below: '10s', to: 'cached' }] }),
  ],
  [
    'a skipped rung of a needed stage',
    'a.degrade',
    /optional: true/,
    () => policy({ degrade: [{ below: '10s', to: 'skip' }] }),
  ],
  ['a rung that is none', 'a.degrade', /not a rung/, () => policy({ degrade: [{ below: '10s', to: 'cache' }] })],
  ['a reserve beyond the deadline', 'a.reserve', /deadline/, () => policy({ reserve: '1h' })],
  [
    'reserves that are together beyond the deadline',
    'b.reserve',
    /240000 ms together/,
    () =>
      define(
        ({ stage }) => {
          const a = stage('a', upper, TEXT, { reserve: '90s' });
          return { x: stage('b', upper, { text: a.text }, { reserve: '150s' }) };
        },
        { deadline: '3m' },
      ),
  ],
];

refuses('policies', POLICIES);
