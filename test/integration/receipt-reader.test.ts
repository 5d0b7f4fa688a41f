import { readFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { receiptReader } from '../../pipelines/catalog/index.js';
import { checkReceipt } from '../../pipelines/catalog/receipt-check.js';
import { rowsOf } from '../../pipelines/catalog/receipt-text.js';
import { type Detection, detect, image, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { Json } from '../../pipelines/json.js';
import type { Problem } from '../../pipelines/run/document.js';
import type { RunDocument } from '../../runs/document.js';
import { decideAt, waitOf } from '../support/deciding.js';
import { connect, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/**
 * Receipts through the catalogue's pipeline on real models. The embedded LLM is too small to read a receipt: nothing here
 * depends on what it says.
 */

const fixture = (name: string) => readFileSync(new URL(`../fixtures/receipts/${name}.png`, import.meta.url));
const [CAFE, WRONG_TOTAL, CHINESE] = [fixture('cafe'), fixture('wrong-total'), fixture('chinese')];
/** A loaded machine writes a token a second; the pipeline goes on without the model then. */
const LIMIT_MS = 120_000;

const ROWS = [
  'CAFE ANEMONE',
  '12 Harbour Street, Eastport',
  'Date: 14 March 2026',
  '2 x Flat white  7.00',
  'Almond croissant  3.80',
  'Orange juice  4.20',
  'Granola bowl  8.50',
  'Subtotal  23.50',
  'TOTAL EUR  23.50',
  'Card  23.50',
  'Thank you!',
];
const LINES = [
  { text: '2 x Flat white', amount: 7 },
  { text: 'Almond croissant', amount: 3.8 },
  { text: 'Orange juice', amount: 4.2 },
  { text: 'Granola bowl', amount: 8.5 },
];

/** The OCR alone: the other pages need no LLM. */
const ocr = pipeline('ocr-alone', { input: z.object({ page: image() }) }, ({ input, stage }) => {
  const { detections } = stage('read', detect({ model: 'ocr' }), { image: input.page }, { retry: { attempts: 1 } });
  return { detections };
});

let served: ServedPipelines;
let client: Client;
beforeAll(async () => {
  [served, client] = await Promise.all([
    servePipelines([receiptReader, ocr] as unknown as Pipeline<never>[]),
    connect(),
  ]);
});
afterAll(async () => {
  await client.connection.close();
  await served.close();
});

const send = (name: string, file: Uint8Array, headers: Record<string, string> = {}, type = 'image/png') =>
  served.post(name, new Uint8Array(file), { 'content-type': type, ...headers });

async function read(file: Uint8Array, type?: string): Promise<readonly Detection[]> {
  const response = await send('ocr-alone', file, { prefer: 'wait=90' }, type);
  const run = (await response.json()) as RunDocument;
  expect(run.error).toBeUndefined();
  return run.output?.detections as unknown as Detection[];
}
const textsOf = async (file: Uint8Array, type?: string) => rowsOf(await read(file, type)).map(({ text }) => text);

async function started(file: Uint8Array): Promise<string> {
  return ((await (await send('receipt-reader', file)).json()) as RunDocument).id;
}

async function ended(id: string): Promise<RunDocument> {
  let run = await served.get(id);
  const hasEnded = async () => {
    run = await served.get(id);
    return run.status !== 'running';
  };
  await until('the run ends', hasEnded, LIMIT_MS);
  return run;
}

const decide = (id: string, approved: boolean) =>
  decideAt(client.workflow.getHandle(id), 'approve', { approved, by: 'ada' });
const statusOf = ({ stages = [] }: RunDocument, name: string) => stages.find(({ stage }) => stage === name)?.status;

describe('receipt-reader', () => {
  it('reads a receipt whose lines add up, and asks nobody about its figures', { timeout: 2 * LIMIT_MS }, async () => {
    const id = await started(CAFE);
    const decidedOrWaiting = async () => {
      const run = await served.get(id);
      return run.status !== 'running' || statusOf(run, 'approve') === 'running';
    };
    await until('it has ended or waits', decidedOrWaiting, LIMIT_MS);
    // Only about the name of the merchant, if the model takes another printed text for it.
    if ((await served.get(id)).status === 'running') await decide(id, true);
    const { output, error } = await ended(id);
    expect(error).toBeUndefined();
    expect(output).toMatchObject({
      accepted: true,
      receipt: { date: '2026-03-14', currency: 'EUR', total: 23.5, lines: LINES },
      text: ROWS.join('\n'),
      marked: { mime: 'image/png' },
    });
    expect(((output?.reasons ?? []) as Json[]).filter((reason) => !String(reason).startsWith('merchant:'))).toEqual([]);
    expect(output?.receipt).toEqual(output?.reading);
    expect(['checks', 'ada']).toContain(output?.decidedBy);
    const receipt = output?.receipt as { merchant: string };
    expect(ROWS).toContain(receipt.merchant);
  });

  it('waits for a person when the total is not the sum of the lines; the decision takes effect', {
    timeout: 2 * LIMIT_MS,
  }, async () => {
    const ids = [await started(WRONG_TOTAL), await started(WRONG_TOTAL)] as const;
    const { subject } = await waitOf(client.workflow.getHandle(ids[0]), 'approve');
    expect(subject).toContain('the lines add up to 23.50, and the total is 32.50');
    expect(subject).toContain('Almond croissant  3.80');
    expect(subject).toMatch(/artifact:\/\/default\/[0-9a-f]{64}/);
    expect((await served.get(ids[0])).status).toBe('running');
    await Promise.all([decide(ids[0], true), decide(ids[1], false)]);
    const [approved, refused] = [await ended(ids[0]), await ended(ids[1])];
    const reading = { date: '2026-03-14', currency: 'EUR', total: 32.5, lines: LINES };
    expect(approved.output).toMatchObject({ accepted: true, decidedBy: 'ada', receipt: reading });
    expect(refused.output).toMatchObject({ accepted: false, decidedBy: 'ada', receipt: null, reading });
  });

  it('says so when there is no text', { timeout: LIMIT_MS }, async () => {
    const empty = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const run = await ended(await started(empty));
    expect(run).toMatchObject({
      status: 'failed',
      error: { code: 'INVALID_INPUT', stage: 'rows', message: expect.stringContaining('no text was found') },
    });
  });

  it.each<[string, Buffer, string]>([
    ['a text', Buffer.from('Total 3.50'), 'image/png'],
    ['an image that is cut off', CAFE.subarray(0, 900), 'image/png'],
  ])('refuses %s', async (_, file, type) => {
    const response = await send('receipt-reader', file, { prefer: 'wait=60' }, type);
    const problem = (await response.json()) as Problem;
    expect(problem.code, JSON.stringify(problem)).toMatch(/^INVALID_(INPUT|MEDIA)$/);
  });
});

describe('the embedded OCR', () => {
  it('finds each text where it is', async () => {
    const found = await read(CAFE);
    const total = found.find(({ text }) => text === 'TOTAL EUR');
    expect(total).toMatchObject({ label: 'text', score: expect.any(Number) });
    expect(total?.score).toBeGreaterThan(0.9);
    // Where it was drawn, with a margin of half a line.
    const { x = 0, y = 0, width = 0, height = 0 } = total?.box ?? {};
    for (const [value, drawn] of [
      [x, 24],
      [y, 333],
      [x + width, 132],
      [y + height, 350],
    ] as const) {
      expect(Math.abs(value - drawn), JSON.stringify(total)).toBeLessThanOrEqual(9);
    }
  });

  it.each([90, 180, 270])('reads a page turned by %s degrees', async (degrees) => {
    expect(await textsOf(await sharp(CAFE).rotate(degrees).png().toBuffer())).toEqual(ROWS);
  });

  it('reads a page that lies askew', async () => {
    const askew = await sharp(CAFE).flatten().rotate(4, { background: '#888' }).png().toBuffer();
    expect(await textsOf(askew)).toEqual(ROWS);
  });

  it('reads a photo of 20 megapixels, with boxes in its own pixels', async () => {
    const photo = await sharp(CAFE).toColourspace('srgb').resize({ width: 4_110, kernel: 'cubic' }).jpeg().toBuffer();
    const found = await read(photo, 'image/jpeg');
    expect(rowsOf(found).map(({ text }) => text)).toEqual(ROWS);
    const total = found.find(({ text }) => text === 'TOTAL EUR');
    expect(total?.box?.y).toBeGreaterThan(333 * 9);
  });

  it('reads Chinese', async () => {
    const rows = rowsOf(await read(CHINESE));
    expect(rows.map(({ text }) => text)).toContain('海边咖啡馆');
    expect(checkReceipt(rows, null)).toMatchObject({
      reading: { merchant: '海边咖啡馆', date: '2026-03-14', currency: 'CNY', total: 54.5 },
      reasons: [],
    });
  });

  it('reads two receipts beside each other, of which the check tells that they are two', async () => {
    const { width, height } = await sharp(CAFE).metadata();
    const both = await sharp({ create: { width: 2 * width + 60, height, channels: 3, background: '#555' } })
      .composite([
        { input: CAFE, left: 0, top: 0 },
        { input: WRONG_TOTAL, left: width + 60, top: 0 },
      ])
      .png()
      .toBuffer();
    const found = await read(both);
    expect(found.filter(({ text }) => text === 'TOTAL EUR')).toHaveLength(2);
    const { reasons } = checkReceipt(rowsOf(found), null);
    expect(reasons.join('\n')).toContain('there are several totals');
  });

  it('refuses a page with more text than one request may take the time for', async () => {
    // A thousand lines of specks, eight pixels high.
    let seed = 1;
    const isInk = (x: number, y: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return y % 14 < 8 && x % 314 < 300 && seed % 100 < 45;
    };
    const raw = { width: 2_000, height: 2_000, channels: 1 } as const;
    const data = Uint8Array.from({ length: raw.width * raw.height }, (_, i) =>
      isInk(i % raw.width, Math.floor(i / raw.width)) ? 0 : 255,
    );
    const response = await send('ocr-alone', await sharp(data, { raw }).png().toBuffer(), { prefer: 'wait=90' });
    expect((await response.json()) as Problem).toMatchObject({
      code: 'BACKEND_REJECTED',
      detail: expect.stringContaining('too much text'),
    });
  });

  it('finds nothing on a page without text, large or tiny', async () => {
    const page = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: '#fff' } })
        .png()
        .toBuffer();
    for (const [width, height] of [
      [500, 500],
      [1, 1],
      [3_000, 3],
    ] as const) {
      expect(await read(await page(width, height))).toEqual([]);
    }
  });
});
