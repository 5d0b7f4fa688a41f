import type { JsonObject } from '../../pipelines/json.js';
import { imageOf } from './image-work.js';
import { artifactIn, type Operation } from './operation.js';

/** Of labels that are drawn. */
const LONGEST_LABEL = 60;

/** An image with boxes, each with its label and score, drawn over it. */
export const boxes: Operation = async ({ input, bench }) => ({
  image: await imageOf(artifactIn(input, 'image'), bench, (image, { width, height }) => {
    const line = Math.max(1, Math.round(Math.max(width, height) / 400));
    const drawn = (input.detections as readonly JsonObject[]).map((each) => shape(each, line)).join('');
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${drawn}</svg>`;
    return image.composite([{ input: Buffer.from(svg) }]);
  }),
});

function shape({ label, score, text, box }: JsonObject, line: number): string {
  if (typeof box !== 'object' || box === null) return '';
  const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((key) => Number((box as JsonObject)[key]).toFixed(1));
  const said = [...`${String(text ?? label)} ${(Number(score) * 100).toFixed(0)} %`].slice(0, LONGEST_LABEL).join('');
  const size = line * 8;
  return (
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="none" stroke="#e00000" stroke-width="${line}"/>` +
    `<text x="${x}" y="${Math.max(size, Number(y) - line * 2)}" font-family="sans-serif" font-size="${size}" fill="#e00000">${escaped(said)}</text>`
  );
}

/** Labels come from models and from images: they must not become markup, nor break it. */
const escaped = (text: string): string =>
  text.replace(/[^\P{C}]/gu, '').replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
