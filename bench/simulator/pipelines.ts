import { z } from 'zod';
import { infer, pipeline, tensor } from '../../pipelines/index.js';

export { voiceAssistant } from '../../pipelines/catalog/index.js';

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
const add = (model: string) => infer({ model, inputs: { X: scalar }, outputs: { Y: scalar } });

/** Three stages, each on a device of its own that computes one batch at a time. */
export const gpuLike = pipeline('gpu-like', { input: z.object({ x: scalar }), deadline: '5m' }, ({ input, stage }) => {
  const first = stage('first', add('first'), { X: input.x });
  const second = stage('second', add('second'), { X: first.Y });
  return { y: stage('third', add('third'), { X: second.Y }).Y };
});
