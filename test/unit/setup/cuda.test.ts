import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { linkCudaLibraries } from '../../../setup/pieces/engine.mjs';
import { Sandbox } from './support.js';

it('makes every CUDA library reachable from the one folder on the search path of TensorFlow', () => {
  const { home } = new Sandbox();
  const place = (part: string, name: string) => {
    mkdirSync(join(home, 'nvidia', part, 'lib'), { recursive: true });
    writeFileSync(join(home, 'nvidia', part, 'lib', name), part);
  };
  place('cuda_runtime', 'libcudart.so.12');
  place('cusolver', 'libcusolver.so.11');
  place('cublas', 'libcublas.so.12');
  mkdirSync(join(home, 'nvidia', 'cuda_nvcc', 'bin'), { recursive: true });
  linkCudaLibraries(home);
  const seen = (name: string) => readFileSync(join(home, 'nvidia', 'cuda_runtime', 'lib', name), 'utf8');
  expect([seen('libcudart.so.12'), seen('libcusolver.so.11'), seen('libcublas.so.12')]).toEqual([
    'cuda_runtime',
    'cusolver',
    'cublas',
  ]);
  // A library finds its neighbours relative to where it was found: the depth must be the same.
  expect(
    existsSync(join(home, 'nvidia', 'cuda_runtime', 'lib', '..', '..', 'cublas', 'lib', 'libcublas.so.12')),
  ).toBe(true);
});
