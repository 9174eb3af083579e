/** Enhance image: an image → a larger one, compared with a slider. */

import { el } from "../dom.js";
import { addJobTab, fileOf } from "../job-tab.js";
import { compare, download, figure, img } from "../media.js";

/**
 * Width and height, once they are known.
 * @param {HTMLImageElement} image
 */
const sizeOf = (image) => {
  const text = el("span", {});
  image.addEventListener("load", () => {
    text.textContent = `${image.naturalWidth} × ${image.naturalHeight} px`;
  });
  return text;
};

addJobTab({
  name: "enhance-image",

  describe(form) {
    return { path: "/image/enhanceImage", form: { field: "file", file: fileOf(form), example: "photo.jpg" }, asJob: true };
  },

  async show(result, original) {
    const url = result.enhanceImageUrl;
    const open = download(url, "enhanced.png", "Open");
    if (!original) {
      const image = img(url, "The enhanced image");
      return figure(image, "Enhanced, ", sizeOf(image), " ", open);
    }
    const box = compare(URL.createObjectURL(original), url);
    const [after, before] = box.querySelectorAll("img");
    before.addEventListener("error", () => box.replaceWith(img(url, "The enhanced image"))); // a format that only the server reads
    return figure(box, sizeOf(before), " → ", sizeOf(after), " ", open);
  },
});
