/** Enhance image: a picture → a larger one, compared by a slider. */

import { el } from "../dom.js";
import { addJobTab, fileOf } from "../job-tab.js";
import { compare, download, figure, picture } from "../media.js";

/**
 * Width and height as soon as they are known.
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
      const image = picture(url, "The enhanced picture");
      return figure(image, "Enhanced, ", sizeOf(image), " ", open);
    }
    const box = compare(URL.createObjectURL(original), url);
    const [after, before] = box.querySelectorAll("img");
    before.addEventListener("error", () => box.replaceWith(picture(url, "The enhanced picture"))); // a kind that only the server reads
    return figure(box, sizeOf(before), " → ", sizeOf(after), " ", open);
  },
});
