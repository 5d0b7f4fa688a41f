import type { WavFormat } from './wav-format.js';

/** Told what was done to audio on its way in: `44100 Hz stereo → 16000 Hz mono`; of a damaged file also that it is one. */
export type OnConversion = (text: string) => void;

/** What was done to audio of the `found` format to give the wanted one; undefined where nothing was. */
export function describeConversion(
  found: Pick<WavFormat, 'sampleRate' | 'channels'>,
  wanted: { readonly sampleRate: number; readonly channels: number },
  decoded?: string,
): string | undefined {
  const [from, to] = [describe(found), describe(wanted)];
  if (decoded === undefined) return from === to ? undefined : `${from} → ${to}`;
  return `${decoded} decoded by ffmpeg, ${from === to ? to : `${from} → ${to}`}`;
}

/** What to say of a damaged file that was decoded all the same. */
export const describeDamage = (complaint: string): string => `damaged, decoded as far as possible: ${complaint}`;

const NAMED = ['', 'mono', 'stereo'];
const describe = ({ sampleRate, channels }: { sampleRate: number; channels: number }): string =>
  `${sampleRate} Hz ${NAMED[channels] ?? `${channels} channels`}`;
