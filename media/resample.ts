import libsamplerate from '@alexanderolsen/libsamplerate-js';
import { MillraceError } from '../pipelines/errors.js';
import { Converters } from './converters.js';
import { clamp } from './samples.js';
import { isSampleRate, SAMPLE_RATES } from './wav-format.js';

/** Changes the sample rate of one mono stream. Output is aligned with input: no delay, `round(n × to / from)` samples. */
export interface Resampler {
  /** Converts the next samples, at most a second of them, and returns the output that is ready. */
  push(samples: Float32Array): Float32Array;
  /** Returns the remaining output. */
  end(): Float32Array;
  /** Gives the converter to the next stream; nothing may be pushed afterwards. */
  close(): void;
}

/**
 * libsamplerate's `SRC_SINC_MEDIUM_QUALITY`: 121 dB signal to noise and 90 % of the bandwidth, at a third of the time of the
 * best converter (13 ms for a second of 48 kHz, measured). Speech recognisers hear no difference.
 */
const QUALITY = libsamplerate.ConverterType.SRC_SINC_MEDIUM_QUALITY;

const converters = new Converters((fromHz, toHz) => libsamplerate.create(1, fromHz, toHz, { converterType: QUALITY }));

/** Throws `INVALID_INPUT` for a rate that no audio has: the converter gives no samples then, or gives up. */
export async function createResampler(fromHz: number, toHz: number): Promise<Resampler> {
  for (const hz of [fromHz, toHz]) if (!isSampleRate(hz)) throw noRate(hz);
  if (fromHz === toHz) return { push: (samples) => samples, end: () => new Float32Array(), close: () => {} };
  const converter = await converters.take(fromHz, toHz);
  let taken = 0;
  let given = 0;
  let isOpen = true;
  const convert = (samples: Float32Array): Float32Array => {
    let converted: Float32Array;
    try {
      converted = converter.full(samples);
    } catch (error) {
      isOpen = false; // one that has failed is not used again
      throw error;
    }
    given += converted.length;
    return clamp(converted);
  };
  return {
    push(samples) {
      taken += samples.length;
      return samples.length === 0 ? samples : convert(samples);
    },
    // The binding has no end-of-input flag. Silence flushes the filter; the excess output is cut off.
    end() {
      const due = Math.round((taken * toHz) / fromHz) - given;
      const tail = new Float32Array(Math.max(0, due));
      for (let filled = 0; filled < tail.length; ) {
        const part = convert(new Float32Array(Math.ceil(fromHz / 10))).subarray(0, tail.length - filled);
        tail.set(part, filled);
        filled += part.length;
      }
      return tail;
    },
    close() {
      if (isOpen) converters.giveBack(converter);
      isOpen = false;
    },
  };
}

function noRate(hz: number): MillraceError {
  const { least, most } = SAMPLE_RATES;
  return new MillraceError(
    'INVALID_INPUT',
    `${hz} Hz is no sample rate: audio has ${least} to ${most} samples a second`,
  );
}
