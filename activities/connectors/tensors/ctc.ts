import type { Tensor } from '../../../protocols/open-inference/index.js';
import type { BoundOutput } from './bind.js';
import { wrongOutput } from './encode.js';
import { numbersOf } from './numbers.js';

/**
 * The text of CTC logits [1, frames, vocabulary] by the best path: the likeliest label of each frame, repeats joined,
 * blanks dropped (Graves et al. 2006, §3.2). Without beam search and language model, so a rare word may be misspelt.
 */
export function ctcText(tensor: Tensor, { name, labels = [], blank = 0, space = '|' }: BoundOutput): string {
  const { shape } = tensor;
  const width = shape.at(-1) ?? 0;
  if (width !== labels.length) throw wrongOutput(name, `${width} logits a frame for a vocabulary of ${labels.length}`);
  const logits = numbersOf(tensor, { infinite: true });
  let text = '';
  let before = blank;
  for (let start = 0; start + width <= logits.length; start += width) {
    let best = 0;
    for (let i = 1; i < width; i++) if ((logits[start + i] as number) > (logits[start + best] as number)) best = i;
    if (best !== blank && best !== before) text += labels[best] === space ? ' ' : labels[best];
    before = best;
  }
  return text.replace(/ +/g, ' ').trim();
}
