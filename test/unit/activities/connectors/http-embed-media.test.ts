import { beforeEach, describe, expect, it } from 'vitest';
import { artifact, describedHttp, json } from './described-http.js';

const { server, call, last, sentJson } = describedHttp();
const output = { response: { output: { embeddings: '$/body/vectors' } } };

describe('an embed stage by a described API', () => {
  beforeEach(() => server.gives(200, '{"vectors":[[0,2]]}', json));

  it('sends an image as the pool says', async () => {
    const request = { path: '/x', json: { image: { $dataUrl: '/input/image' } } };
    const reply = await call({ request, ...output }, { kind: 'embed', input: { image: { ...artifact } } });
    expect(reply.output).toEqual({ embedding: [0, 1] });
    expect(sentJson()).toEqual({ image: 'data:image/png;base64,AQID' });
  });

  it('sends items that are texts as texts', async () => {
    server.gives(200, '{"vectors":[[0,2],[2,0]]}', json);
    const request = { path: '/x', json: { input: '$/texts' } };
    const items = [{ text: 'a' }, { text: 'b' }];
    const reply = await call({ request, ...output }, { kind: 'embed', input: { items } });
    expect(reply.output).toEqual({
      embeddings: [
        [0, 1],
        [1, 0],
      ],
    });
    expect(sentJson()).toEqual({ input: ['a', 'b'] });
  });

  it('sends no list of media, which one request cannot have', async () => {
    const request = { path: '/x', json: { input: '$/texts' } };
    const input = { items: [{ text: 'a' }, { image: { ...artifact } }] };
    const before = last();
    await expect(call({ request, ...output }, { kind: 'embed', input })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      details: { fields: [{ field: 'items.1' }] },
    });
    expect(last()).toBe(before);
  });
});
