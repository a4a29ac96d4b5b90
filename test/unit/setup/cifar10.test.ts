import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { toRecords } from '../../../setup/pieces/cifar10.mjs';

/** A sheet of two pictures whose pixel p has the colours (p, p + 1, p + 2) modulo 256, shifted by 7 in the second. */
function sheet(): PNG {
  const png = new PNG({ width: 1024, height: 2 });
  for (let row = 0; row < 2; row++) {
    for (let p = 0; p < 1024; p++) {
      for (let c = 0; c < 3; c++) png.data[(row * 1024 + p) * 4 + c] = (p + c + 7 * row) % 256;
      png.data[(row * 1024 + p) * 4 + 3] = 255;
    }
  }
  return PNG.sync.read(PNG.sync.write(png, { colorType: 2 }));
}

describe('toRecords', () => {
  it('writes the label, then all red, all green, all blue', () => {
    const records = toRecords(sheet(), [3, 9]);
    expect(records).toHaveLength(2 * 3073);
    expect([records[0], records[3073]]).toEqual([3, 9]);
    expect([...records.subarray(1, 4)]).toEqual([0, 1, 2]);
    expect([...records.subarray(1 + 1024, 4 + 1024)]).toEqual([1, 2, 3]);
    expect([...records.subarray(1 + 2048, 4 + 2048)]).toEqual([2, 3, 4]);
    expect([...records.subarray(3074, 3077)]).toEqual([7, 8, 9]);
    expect(records[2 * 3073 - 1]).toBe((1023 + 2 + 7) % 256);
  });

  it('refuses labels that do not fit the sheet', () => {
    expect(() => toRecords(sheet(), [1])).toThrow('1024 x 2 pixels does not fit 1 labels');
  });
});
