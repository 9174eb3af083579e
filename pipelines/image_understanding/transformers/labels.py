"""The classes by default: things and places that people take photos of."""

from typing import Final

EVERYDAY: Final = (
    *("Person", "Crowd", "Baby", "Face", "Hand", "Dog", "Cat", "Bird", "Horse", "Cow", "Sheep", "Pig", "Chicken"),
    *("Fish", "Insect", "Butterfly", "Snake", "Bear", "Elephant", "Rabbit"),
    *("Car", "Truck", "Bus", "Van", "Motorcycle", "Bicycle", "Train", "Airplane", "Helicopter", "Ship", "Boat"),
    *("Tractor", "Excavator", "Crane", "Forklift", "Fuel Pump", "Ambulance", "Fire Engine", "Traffic Light"),
    *("Street", "Road", "Bridge", "Building", "House", "Skyscraper", "Church", "Tower", "Factory", "Warehouse"),
    *("Office", "Kitchen", "Bedroom", "Living Room", "Bathroom", "Classroom", "Hospital", "Restaurant", "Shop"),
    *("Stadium", "Park", "Garden", "Farm", "Field", "Forest", "Tree", "Flower", "Mountain", "Beach", "Sea", "River"),
    *("Lake", "Waterfall", "Desert", "Snow", "Sky", "Sunset", "Night Sky", "Moon", "Rocket", "Fire", "Rain"),
    *("Food", "Fruit", "Vegetables", "Bread", "Cake", "Pizza", "Meat", "Coffee", "Cup", "Bottle", "Plate"),
    *("Chair", "Table", "Sofa", "Bed", "Lamp", "Clock", "Book", "Toy", "Bag", "Shoes", "Clothes", "Hat", "Umbrella"),
    *("Computer", "Laptop", "Keyboard", "Mobile Phone", "Television", "Camera", "Printer", "Machine", "Tool"),
    *("Pump", "Pipe", "Cable", "Circuit Board", "Box", "Money", "Coins", "Musical Instrument", "Ball", "Sports"),
    *("Document", "Page of Text", "Screenshot", "Chart", "Map", "Drawing", "Painting", "Sign", "Logo", "Texture"),
)
"""The models ignore case: the capitals are for people."""
