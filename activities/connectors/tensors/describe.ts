import type { BoundInput, BoundMap, BoundOutput } from './bind.js';

/** A map as text for people, a line for each tensor: `pixel_values FP16 [-1,3,32,32] ← image, CHW rgb 32×32`. */
export const describeMap = ({ inputs, outputs }: BoundMap): readonly string[] => [
  ...inputs.map((input) => `${head(input)} ← ${[sourceOf(input), ...detailsOf(input)].join(', ')}`),
  ...[...outputs].map(([to, output]) => `${head(output)} → ${[to, ...resultOf(output)].join(', ')}`),
];

const head = ({ name, dtype, shape }: Pick<BoundOutput, 'name' | 'dtype' | 'shape'>): string =>
  [name, dtype, shape && `[${shape}]`].filter((part) => part !== undefined).join(' ');

const sourceOf = ({ from, value }: BoundInput): string => from ?? JSON.stringify(value);

function detailsOf(input: BoundInput): string[] {
  const { from, encoding, layout, colors, width, height, longest, fit, scale, mean, std } = input;
  const { sampleRate, seconds, optional, each } = input;
  const most = longest === undefined ? '' : ` up to ${longest}`;
  const size = `${width ?? 'any'}×${height ?? 'any'}${most}`;
  const pixels = from === 'image' && encoding !== 'file' ? [`${layout} ${colors} ${size} (${fit ?? 'fill'})`] : [];
  const values = [
    scale !== undefined && `× ${scale}`,
    mean !== undefined && `− ${JSON.stringify(mean)}`,
    std !== undefined && `÷ ${JSON.stringify(std)}`,
  ].filter((part) => part !== false);
  return [
    ...(encoding ? [encoding] : []),
    ...pixels,
    ...(values.length > 0 ? [`value ${values.join(' ')}`] : []),
    ...(sampleRate ? [`${sampleRate} Hz`] : []),
    ...(seconds ? [`at most ${seconds} s`] : []),
    ...(each ? ['for each passage'] : []),
    ...(optional ? ['optional'] : []),
  ];
}

/** Labels shown; a vocabulary may have thousands. */
const MOST_LABELS = 8;

function resultOf(output: BoundOutput): string[] {
  const { activation, labels, threshold, nms, box, unit, covers, pooling, decode, encoding, pointer } = output;
  const { responses, sampleRate } = output;
  const more = labels && labels.length > MOST_LABELS ? `, … (${labels.length})` : '';
  return [
    ...(encoding ? [`${encoding}${pointer ?? ''}`] : []),
    ...[activation, pooling, decode, box, unit, covers && `of the ${covers}`].filter((each) => each !== undefined),
    ...(labels ? [`labels ${labels.slice(0, MOST_LABELS).join(' ')}${more}`] : []),
    ...(threshold === undefined ? [] : [`from ${threshold}`]),
    ...(nms === undefined ? [] : [`overlap up to ${nms}`]),
    ...(responses ? [`each response ${responses}`] : []),
    ...(sampleRate ? [`${sampleRate} Hz`] : []),
  ];
}
