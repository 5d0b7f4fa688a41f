import { MOST_FRAME_PIXELS } from '../pipelines/stages/option-bounds.js';

/** Most pixels of a frame that is read or made. */
export const MOST_PIXELS = MOST_FRAME_PIXELS;

/**
 * Decoders of files that people have, by ffmpeg's names: pictures, sound, and voices of telephones and of old recordings.
 * ffmpeg has hundreds more, for formats that only an attacker would send.
 */
const DECODERS = [
  ...['h264', 'hevc', 'av1', 'libdav1d', 'libaom-av1', 'vp8', 'vp9', 'libvpx', 'libvpx-vp9', 'mpeg4', 'mpeg1video'],
  ...['mpeg2video', 'mjpeg', 'prores', 'theora', 'h263', 'png'],
  ...['aac', 'mp3', 'mp3float', 'mp2', 'mp2float', 'mp1', 'mp1float', 'opus', 'libopus', 'vorbis', 'libvorbis', 'flac'],
  ...['alac', 'ac3', 'eac3', 'amrnb', 'amrwb', 'libopencore_amrnb', 'libopencore_amrwb', 'speex', 'libspeex'],
  ...['pcm_u8', 'pcm_s16le', 'pcm_s16be', 'pcm_s24le', 'pcm_s24be', 'pcm_s32le', 'pcm_s32be', 'pcm_f32le', 'pcm_f32be'],
  ...['pcm_f64le', 'pcm_f64be', 'pcm_alaw', 'pcm_mulaw'],
].join(',');

/**
 * Options of ffmpeg before each input: no protocol but pipes, known decoders, bounded pictures. So no file can make it open
 * another one or the network, or fill the memory.
 */
export const GUARDED: readonly string[] = [
  ...['-protocol_whitelist', 'pipe', '-codec_whitelist', DECODERS, '-max_pixels', String(MOST_PIXELS)],
];
