"""Ten classes, each with two methods, a class method and a static method. Invoice inherits from Order."""

from ..calls import CALLS


class Cart:
    def add(self):
        CALLS[__name__, "Cart.add"] += 1

    def clear(self):
        CALLS[__name__, "Cart.clear"] += 1

    @classmethod
    def from_session(cls):
        CALLS[__name__, "Cart.from_session"] += 1

    @staticmethod
    def tax():
        CALLS[__name__, "Cart.tax"] += 1


class Order:
    def pay(self):
        CALLS[__name__, "Order.pay"] += 1

    def ship(self):
        CALLS[__name__, "Order.ship"] += 1

    @classmethod
    def load(cls):
        CALLS[__name__, "Order.load"] += 1

    @staticmethod
    def number():
        CALLS[__name__, "Order.number"] += 1


class Stock:
    def take(self):
        CALLS[__name__, "Stock.take"] += 1

    def refill(self):
        CALLS[__name__, "Stock.refill"] += 1

    @classmethod
    def of_house(cls):
        CALLS[__name__, "Stock.of_house"] += 1

    @staticmethod
    def unit():
        CALLS[__name__, "Stock.unit"] += 1


class Customer:
    def greet(self):
        CALLS[__name__, "Customer.greet"] += 1

    def bill(self):
        CALLS[__name__, "Customer.bill"] += 1

    @classmethod
    def find(cls):
        CALLS[__name__, "Customer.find"] += 1

    @staticmethod
    def title():
        CALLS[__name__, "Customer.title"] += 1


class Mailer:
    def send(self):
        CALLS[__name__, "Mailer.send"] += 1

    def flush(self):
        CALLS[__name__, "Mailer.flush"] += 1

    @classmethod
    def default(cls):
        CALLS[__name__, "Mailer.default"] += 1

    @staticmethod
    def subject():
        CALLS[__name__, "Mailer.subject"] += 1


class Search:
    def query(self):
        CALLS[__name__, "Search.query"] += 1

    def rank(self):
        CALLS[__name__, "Search.rank"] += 1

    @classmethod
    def index(cls):
        CALLS[__name__, "Search.index"] += 1

    @staticmethod
    def tokens():
        CALLS[__name__, "Search.tokens"] += 1


class Cache:
    def get(self):
        CALLS[__name__, "Cache.get"] += 1

    def put(self):
        CALLS[__name__, "Cache.put"] += 1

    @classmethod
    def shared(cls):
        CALLS[__name__, "Cache.shared"] += 1

    @staticmethod
    def key():
        CALLS[__name__, "Cache.key"] += 1


class Session:
    def open(self):
        CALLS[__name__, "Session.open"] += 1

    def close(self):
        CALLS[__name__, "Session.close"] += 1

    @classmethod
    def current(cls):
        CALLS[__name__, "Session.current"] += 1

    @staticmethod
    def secret():
        CALLS[__name__, "Session.secret"] += 1


class Report:
    def draw(self):
        CALLS[__name__, "Report.draw"] += 1

    def store(self):
        CALLS[__name__, "Report.store"] += 1

    @classmethod
    def latest(cls):
        CALLS[__name__, "Report.latest"] += 1

    @staticmethod
    def heading():
        CALLS[__name__, "Report.heading"] += 1


class Invoice(Order):
    def pay(self):
        CALLS[__name__, "Invoice.pay"] += 1

    def remind(self):
        CALLS[__name__, "Invoice.remind"] += 1

    @classmethod
    def draft(cls):
        CALLS[__name__, "Invoice.draft"] += 1

    @staticmethod
    def prefix():
        CALLS[__name__, "Invoice.prefix"] += 1
