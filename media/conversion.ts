import type { WavFormat } from './wav-format.js';

/** Called with a description of the conversion, `44100 Hz stereo → 16000 Hz mono`, and again if the file is damaged. */
export type OnConversion = (text: string) => void;

/** Describes the conversion from `found` to the requested format; undefined if none is needed. */
export function describeConversion(
  found: Pick<WavFormat, 'sampleRate' | 'channels'>,
  wanted: { readonly sampleRate: number; readonly channels: number },
  decoded?: string,
): string | undefined {
  const [from, to] = [describe(found), describe(wanted)];
  if (decoded === undefined) return from === to ? undefined : `${from} → ${to}`;
  return `${decoded} decoded by ffmpeg, ${from === to ? to : `${from} → ${to}`}`;
}

/** Describes a damaged file that was decoded as far as possible. */
export const describeDamage = (complaint: string): string => `damaged, decoded as far as possible: ${complaint}`;

const NAMED = ['', 'mono', 'stereo'];
const describe = ({ sampleRate, channels }: { sampleRate: number; channels: number }): string =>
  `${sampleRate} Hz ${NAMED[channels] ?? `${channels} channels`}`;
